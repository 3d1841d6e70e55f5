# shellcheck shell=dash
# Sourced by catalina.sh: memory and arguments of Jira's Java virtual machine.

# Jira wants to open at least this many files.
MIN_NOFILES_LIMIT=16384

# Home directory; commented out, WEB-INF/classes/jira-application.properties decides.
@JIRA_HOME_LINE@

# Arguments somebody was told to set.
JVM_SUPPORT_RECOMMENDED_ARGS="@SUPPORT_ARGS@"

# Garbage collector.
JVM_GC_ARGS="-XX:+ExplicitGCInvokesConcurrent"

# Heap.
JVM_MINIMUM_MEMORY="@MIN_MEMORY@"
JVM_MAXIMUM_MEMORY="@MAX_MEMORY@"

JVM_CODE_CACHE_ARGS='-XX:InitialCodeCacheSize=32m -XX:ReservedCodeCacheSize=512m'

# Jira does not start without these.
JVM_REQUIRED_ARGS='-Djava.awt.headless=true -Datlassian.standalone=JIRA -Dorg.apache.jasper.runtime.BodyContentImpl.LIMIT_BUFFER=true -Dmail.mime.decodeparameters=true -Dorg.dom4j.factory=com.atlassian.core.xml.InterningDocumentFactory'

JVM_EXTRA_ARGS="-XX:-OmitStackTraceInFastThrow"

CURRENT_NOFILES_LIMIT=$( ulimit -Hn )
ulimit -Sn "$CURRENT_NOFILES_LIMIT"
ulimit -n $(( CURRENT_NOFILES_LIMIT > MIN_NOFILES_LIMIT ? CURRENT_NOFILES_LIMIT : MIN_NOFILES_LIMIT ))

PRGDIR=$(dirname "$0")
cat "${PRGDIR}"/jirabanner.txt

JIRA_HOME_MINUSD=""
if [ -n "$JIRA_HOME" ]; then
    case "$JIRA_HOME" in
        *" "*) echo "WARNING : JIRA_HOME contains a space and is ignored" ;;
        *) JIRA_HOME_MINUSD=-Djira.home=$JIRA_HOME ;;
    esac
fi

LOGBASEABS=$( cd "${CATALINA_BASE:-${CATALINA_HOME:-$PRGDIR/..}}" && pwd )
. "${PRGDIR}"/set-gc-params.sh

JAVA_OPTS="-Xms${JVM_MINIMUM_MEMORY} -Xmx${JVM_MAXIMUM_MEMORY} ${JVM_CODE_CACHE_ARGS} ${JAVA_OPTS} ${JVM_REQUIRED_ARGS} ${JVM_GC_ARGS} ${DISABLE_NOTIFICATIONS} ${JVM_SUPPORT_RECOMMENDED_ARGS} ${JVM_EXTRA_ARGS} ${JIRA_HOME_MINUSD} ${START_JIRA_JAVA_OPTS}"
export JAVA_OPTS

JAVA_HOME="@JAVA_HOME@"; export JAVA_HOME

# Where the process number is written.
if [ -z "$CATALINA_PID" ]; then
    if [ -n "$CATALINA_BASE" ]; then
        CATALINA_PID="$CATALINA_BASE"/work/catalina.pid
    elif [ -n "$CATALINA_HOME" ]; then
        CATALINA_PID="$CATALINA_HOME"/work/catalina.pid
    fi
fi
export CATALINA_PID

echo ""
echo "Server startup logs are located in $LOGBASEABS/logs/catalina.out"
