# shellcheck shell=bash
# Sourced by _start-webapp.sh: arguments for JMX, when JMX_REMOTE_AUTH asks for it.
JMX_OPTS=""
if [ "$JMX_REMOTE_AUTH" = password ]; then
    JMX_OPTS="-Dcom.sun.management.jmxremote.port=${JMX_REMOTE_PORT:-3333}"
    JMX_OPTS="$JMX_OPTS -Dcom.sun.management.jmxremote.password.file=$JMX_PASSWORD_FILE"
fi
export JMX_OPTS
