#!/usr/bin/env bash
# Starts Bamboo: in the background, or in the foreground with -fg.

here=$(dirname "$(readlink -f "$0")")

case "$1" in
    -fg | run) exec "$here/catalina.sh" run ;;
    *)
        echo "To run Bamboo in the foreground, start the server with start-bamboo.sh -fg"
        exec "$here/startup.sh"
        ;;
esac
