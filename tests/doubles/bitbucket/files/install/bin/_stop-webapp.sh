#!/usr/bin/env bash
# Ends the process of the web application and waits for it; stop-bitbucket.sh calls it.

pid_file="$BITBUCKET_HOME/log/bitbucket.pid"
if [ ! -r "$pid_file" ]; then
    echo "There is no $pid_file: Bitbucket does not run, or not as this user"
    exit 0
fi
pid=$(cat "$pid_file")
kill "$pid" 2>/dev/null || exit 0
for _second in $(seq 30); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 1
done
rm -f "$pid_file"
