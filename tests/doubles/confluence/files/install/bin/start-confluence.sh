#!/usr/bin/env bash
# Starts Confluence: in the background, or in the foreground with -fg. When user.sh names an account, root switches to it.

here=$(dirname "$(readlink -f "$0")")
export START_CONFLUENCE_JAVA_OPTS="-Datlassian.plugins.startup.options='$*'"

script=startup.sh
arguments=""
case "$1" in
    -h | --help) exec "$here/display-help.sh" ;;
    -fg | run)
        script=catalina.sh
        arguments=run
        ;;
    *)
        echo
        echo "To run Confluence in the foreground, start the server with start-confluence.sh -fg"
        ;;
esac

# shellcheck source=/dev/null
. "$here/user.sh"

if [ -z "$CONF_USER" ] || [ "$(id -un)" = "$CONF_USER" ]; then
    echo "executing as current user"
    # shellcheck disable=SC2086 # several words
    exec "$here/$script" $arguments
elif [ "$UID" -ne 0 ]; then
    echo "Confluence is set up to run as $CONF_USER: start it with sudo, so that it can switch to that user"
    exit 1
else
    echo "executing using dedicated user: $CONF_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -m "$CONF_USER" -c "$here/$script $arguments"
fi
