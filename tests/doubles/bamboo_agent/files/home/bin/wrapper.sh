#!/usr/bin/env bash
# Stands in for the wrapper: starts Java as its configuration says, and again when it ends by itself.

configuration=$1

setting() {
    sed -n "s/^wrapper\.$1=//p" "$configuration"
}

classpath=$(sed -n 's/^wrapper\.java\.classpath\.[0-9]*=//p' "$configuration" | paste -sd:)
mapfile -t additional < <(sed -n 's/^wrapper\.java\.additional\.[0-9]*=//p' "$configuration")
mapfile -t parameters < <(sed -n 's/^wrapper\.app\.parameter\.[0-9]*=//p' "$configuration")

stop() {
    kill "$java" 2>/dev/null
    wait "$java"
    exit 0
}
trap stop TERM INT

while true; do
    "$(setting java.command)" "${additional[@]}" -Xms"$(setting java.initmemory)"m -Xmx"$(setting java.maxmemory)"m \
        -classpath "$classpath" "$(setting java.mainclass)" "${parameters[@]}" >>"$(setting logfile)" 2>&1 &
    java=$!
    wait "$java"
    sleep 5
done
