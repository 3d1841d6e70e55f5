# shellcheck shell=sh
# Sourced by setenv.sh: the Java that runs Confluence.
JAVA_HOME="@JAVA_HOME@"
export JAVA_HOME
JRE_HOME="@JAVA_HOME@"
export JRE_HOME
