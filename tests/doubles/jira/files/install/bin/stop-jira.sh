#!/usr/bin/env bash
# Stops Jira: asks Tomcat to shut down, and ends the process when that takes longer than 20 seconds.

here=$(dirname "$(readlink -f "$0")")
. "$here/user.sh"

command="$here/shutdown.sh 20 -force $*"

if [ -z "$JIRA_USER" ] || [ "$(id -un)" = "$JIRA_USER" ]; then
    echo "executing as current user"
    exec $command
elif [ "$UID" -ne 0 ]; then
    echo "Jira is set up to run as $JIRA_USER: stop it with sudo, so that it can switch to that user"
    exit 1
else
    echo "executing using dedicated user: $JIRA_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -m "$JIRA_USER" -c "$command"
fi
