# shellcheck shell=sh
# Sourced by catalina.sh: memory and arguments of Bamboo's Java virtual machine.

# Home directory; commented out, WEB-INF/classes/bamboo-init.properties decides.
#BAMBOO_HOME=""

# Arguments somebody was told to set.
: "${JVM_SUPPORT_RECOMMENDED_ARGS:=@SUPPORT_ARGS@}"

# Heap.
: "${JVM_MINIMUM_MEMORY:=@MIN_MEMORY@}"
: "${JVM_MAXIMUM_MEMORY:=@MAX_MEMORY@}"

# Arguments Bamboo cannot do without: none.
: "${JVM_REQUIRED_ARGS:=}"

cat "$CATALINA_HOME/bin/bamboobanner.txt"

BAMBOO_HOME_MINUSD=""
if [ -n "$BAMBOO_HOME" ]; then
    BAMBOO_HOME_MINUSD=-Dbamboo.home=$BAMBOO_HOME
fi

# The virtual machine does not start when it cannot write this log.
JVM_GC_ARGS="-Xlog:gc*:file=${CATALINA_BASE:-$CATALINA_HOME}/logs/gc-%t.log:tags,time,uptime,level:filecount=5,filesize=2M"

JAVA_OPTS="-Xms${JVM_MINIMUM_MEMORY} -Xmx${JVM_MAXIMUM_MEMORY} ${JAVA_OPTS} ${JVM_REQUIRED_ARGS} ${JVM_GC_ARGS} ${JVM_SUPPORT_RECOMMENDED_ARGS} ${BAMBOO_HOME_MINUSD}"
export JAVA_OPTS

JAVA_HOME="@JAVA_HOME@"
export JAVA_HOME

# Where the process number is written.
if [ -z "$CATALINA_PID" ]; then
    CATALINA_PID="${CATALINA_BASE:-$CATALINA_HOME}/work/catalina.pid"
fi
export CATALINA_PID
