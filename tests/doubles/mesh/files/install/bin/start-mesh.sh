#!/usr/bin/env bash
# Starts a node of Bitbucket's Mesh: in the background, or in the foreground with -fg.

INST_DIR=$(dirname "$(dirname "$(readlink -f "$0")")")
: "${MESH_HOME:=@HOME@}"
: "${JVM_MINIMUM_MEMORY:=@MIN_MEMORY@}"
: "${JVM_MAXIMUM_MEMORY:=@MAX_MEMORY@}"
: "${JVM_SUPPORT_RECOMMENDED_ARGS:=@SUPPORT_ARGS@}"

# Whatever the account's own is.
umask 0027
mkdir -p "$MESH_HOME/log" "$MESH_HOME/tmp" || exit 1

options="-Xms$JVM_MINIMUM_MEMORY -Xmx$JVM_MAXIMUM_MEMORY -Dmesh.home=$MESH_HOME -Djava.io.tmpdir=$MESH_HOME/tmp"
port=$(sed -n 's/^grpc\.server\.port=//p' "$MESH_HOME/mesh.properties")
options="$options -Dgrpc.server.port=${port:-7777} $JVM_SUPPORT_RECOMMENDED_ARGS -classpath $INST_DIR/lib/mesh-@VERSION@.jar"

if [ "$1" = -fg ]; then
    # shellcheck disable=SC2086 # several words
    exec "@JAVA_HOME@/bin/java" $options @MAIN@
fi
# shellcheck disable=SC2086 # several words
nohup "@JAVA_HOME@/bin/java" $options @MAIN@ >"$MESH_HOME/log/launcher.log" 2>&1 </dev/null &
echo $! >"$MESH_HOME/log/mesh.pid"
