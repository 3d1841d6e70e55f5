# shellcheck shell=dash
# Sourced by setenv.sh: a log of the garbage collector. The virtual machine does not start when it cannot write it.
CATALINA_OPTS="${CATALINA_OPTS} -Xlog:gc*:file=${LOGBASEABS}/logs/atlassian-jira-gc-%t.log:tags,time,uptime,level:filecount=5,filesize=20M"
export CATALINA_OPTS
