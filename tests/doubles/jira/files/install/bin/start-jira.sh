#!/usr/bin/env bash
# Starts Jira: in the background, or in the foreground with -fg. When user.sh names an account, root switches to it.

here=$(dirname "$(readlink -f "$0")")
export START_JIRA_JAVA_OPTS="-Datlassian.plugins.startup.options='$*'"

foreground=false
case "$1" in
    -h | --help) exec "$here/display-help.sh" ;;
    -fg | run)
        foreground=true
        shift
        ;;
    *)
        echo
        echo "To run Jira in the foreground, start the server with start-jira.sh -fg"
        ;;
esac

. "$here/user.sh"

if "$foreground"; then
    command="$here/catalina.sh run $*"
else
    command="$here/startup.sh $*"
fi

if [ -z "$JIRA_USER" ] || [ "$(id -un)" = "$JIRA_USER" ]; then
    echo "executing as current user"
    exec $command
elif [ "$UID" -ne 0 ]; then
    echo "Jira is set up to run as $JIRA_USER: start it with sudo, so that it can switch to that user"
    exit 1
else
    echo "executing using dedicated user: $JIRA_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -m "$JIRA_USER" -c "$command"
fi
