#!/usr/bin/env bash
# Starts Crowd: in the background, or in the foreground with -fg or run.

here=$(dirname "$(readlink -f "$0")")
cd "$here/apache-tomcat/bin" || exit 1

case "$1" in
    -fg | run) exec ./catalina.sh run ;;
    *)
        echo "To run Crowd in the foreground, start the server with start_crowd.sh -fg"
        exec ./startup.sh
        ;;
esac
