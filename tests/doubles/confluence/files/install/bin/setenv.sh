# shellcheck shell=sh
# Sourced by catalina.sh: memory and arguments of Confluence's Java virtual machine.

# Where the process number is written.
if [ -z "$CATALINA_PID" ]; then
    CATALINA_PID="${CATALINA_BASE:-$CATALINA_HOME}/work/catalina.pid"
fi
export CATALINA_PID

LOGBASEABS="${CATALINA_BASE:-$CATALINA_HOME}"
echo "Server startup logs are located in $LOGBASEABS/logs/catalina.out"

# shellcheck source=/dev/null
. "$CATALINA_HOME/bin/setjre.sh"

CONFLUENCE_CONTEXT_PATH="@CONTEXT_PATH@"
export CONFLUENCE_CONTEXT_PATH

CATALINA_OPTS="-XX:+IgnoreUnrecognizedVMOptions ${CATALINA_OPTS}"
# The virtual machine does not start when it cannot write this log.
CATALINA_OPTS="-Xlog:gc*:file=$LOGBASEABS/logs/gc-%t.log:tags,time,uptime,level:filecount=5,filesize=2M ${CATALINA_OPTS}"
CATALINA_OPTS="-XX:G1ReservePercent=20 ${CATALINA_OPTS}"
CATALINA_OPTS="-Djava.awt.headless=true ${CATALINA_OPTS}"
CATALINA_OPTS="-Datlassian.plugins.enable.wait=300 ${CATALINA_OPTS}"
CATALINA_OPTS="-Xms@MIN_MEMORY@ -Xmx@MAX_MEMORY@ -XX:+UseG1GC ${CATALINA_OPTS}"
CATALINA_OPTS="-Dsynchrony.enable.xhr.fallback=true ${CATALINA_OPTS}"
CATALINA_OPTS="-Dorg.apache.tomcat.websocket.DEFAULT_BUFFER_SIZE=32768 ${CATALINA_OPTS}"
CATALINA_OPTS="${START_CONFLUENCE_JAVA_OPTS} ${CATALINA_OPTS}"
CATALINA_OPTS="-Dconfluence.context.path=${CONFLUENCE_CONTEXT_PATH} ${CATALINA_OPTS}"
CATALINA_OPTS="@SUPPORT_ARGS@ ${CATALINA_OPTS}"
export CATALINA_OPTS
