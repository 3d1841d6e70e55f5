#!/usr/bin/env bash
# Starts the program; start-mesh.sh calls it with everything in the environment.

if [ -z "$INST_DIR" ] || [ -z "$MESH_HOME" ]; then
    echo "$0 is not to be run directly: run start-mesh.sh instead"
    exit 1
fi

: "${JVM_MINIMUM_MEMORY:=@MIN_MEMORY@}"
: "${JVM_MAXIMUM_MEMORY:=@MAX_MEMORY@}"
: "${JVM_SUPPORT_RECOMMENDED_ARGS:=@SUPPORT_ARGS@}"

# Whatever the account's own is.
umask 0027

for folder in log tmp; do
    if ! mkdir -p "$MESH_HOME/$folder"; then
        echo "$MESH_HOME/$folder could not be created. Mesh was not started"
        exit 1
    fi
done

options="-Xms$JVM_MINIMUM_MEMORY -Xmx$JVM_MAXIMUM_MEMORY -Dmesh.home=$MESH_HOME -Djava.io.tmpdir=$MESH_HOME/tmp"
options="$options $JVM_SUPPORT_RECOMMENDED_ARGS"

if [ "$FOREGROUND" = true ]; then
    # shellcheck disable=SC2086 # several words
    exec "$JAVA_BINARY" $options -jar "$BIN_DIR/mesh-app.jar"
fi
# shellcheck disable=SC2086 # several words
nohup "$JAVA_BINARY" $options -jar "$BIN_DIR/mesh-app.jar" >"$MESH_HOME/log/launcher.log" 2>&1 </dev/null &
echo $! >"$MESH_HOME/log/mesh.pid"
