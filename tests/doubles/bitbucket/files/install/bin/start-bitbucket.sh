#!/usr/bin/env bash
# Starts Bitbucket: in the background, or in the foreground with -fg. When set-bitbucket-user.sh names an account, root
# switches to it. --no-search leaves the search server alone, which this stand-in does not have.

BIN_DIR=$(dirname "$(readlink -f "$0")")
INST_DIR=$(dirname "$BIN_DIR")
export BIN_DIR INST_DIR

FOREGROUND=false
for argument in "$@"; do
    case "$argument" in
        -fg | run) FOREGROUND=true ;;
        --no-search) ;;
        *)
            echo "Usage: start-bitbucket.sh [-fg] [--no-search]"
            exit 1
            ;;
    esac
done
export FOREGROUND

# shellcheck source=/dev/null
. "$BIN_DIR/set-jre-home.sh"
# shellcheck source=/dev/null
. "$BIN_DIR/set-bitbucket-home.sh"
# shellcheck source=/dev/null
. "$BIN_DIR/set-bitbucket-user.sh"

if [ -z "$BITBUCKET_USER" ] || [ "$(id -un)" = "$BITBUCKET_USER" ]; then
    echo "Starting Atlassian Bitbucket as the current user"
    exec "$BIN_DIR/_start-webapp.sh"
elif [ "$UID" -ne 0 ]; then
    echo "Bitbucket is set up to run as $BITBUCKET_USER: start it as that user"
    exit 1
else
    echo "Starting Atlassian Bitbucket as dedicated user $BITBUCKET_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -l "$BITBUCKET_USER" <<END
export BIN_DIR="$BIN_DIR" INST_DIR="$INST_DIR" BITBUCKET_HOME="$BITBUCKET_HOME" FOREGROUND="$FOREGROUND"
export JAVA_BINARY="$JAVA_BINARY" JRE_HOME="$JRE_HOME" JVM_SUPPORT_RECOMMENDED_ARGS="$JVM_SUPPORT_RECOMMENDED_ARGS"
"$BIN_DIR/_start-webapp.sh"
END
fi
