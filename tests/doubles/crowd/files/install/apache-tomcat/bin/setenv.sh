# shellcheck shell=sh
# Sourced by catalina.sh: memory and arguments of Crowd's Java virtual machine.

JAVA_HOME="@JAVA_HOME@"
export JAVA_HOME

JVM_SUPPORT_RECOMMENDED_ARGS="@SUPPORT_ARGS@"

CATALINA_OPTS="-Xms@MIN_MEMORY@ -Xmx@MAX_MEMORY@ -Dfile.encoding=UTF-8 ${JVM_SUPPORT_RECOMMENDED_ARGS} ${CATALINA_OPTS}"
CATALINA_OPTS="-Xlog:gc*:file=${CATALINA_BASE}/logs/gc-%t.log:tags,time,uptime,level:filecount=5,filesize=2M ${CATALINA_OPTS}"
export CATALINA_OPTS

# Where the process number is written.
CATALINA_PID="${CATALINA_BASE}/work/catalina.pid"
export CATALINA_PID
