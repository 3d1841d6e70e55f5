#!/usr/bin/env bash
# Stops Confluence: asks Tomcat to shut down, and ends the process when that takes longer than 20 seconds.

here=$(dirname "$(readlink -f "$0")")
script=shutdown.sh
arguments="20 -force"

# shellcheck source=/dev/null
. "$here/user.sh"

if [ -z "$CONF_USER" ] || [ "$(id -un)" = "$CONF_USER" ]; then
    echo "executing as current user"
    # shellcheck disable=SC2086 # several words
    exec "$here/$script" $arguments
elif [ "$UID" -ne 0 ]; then
    echo "Confluence is set up to run as $CONF_USER: stop it with sudo, so that it can switch to that user"
    exit 1
else
    echo "executing using dedicated user: $CONF_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -m "$CONF_USER" -c "$here/$script $arguments"
fi
