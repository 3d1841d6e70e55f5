#!/usr/bin/env bash
# Starts a node of Bitbucket's Mesh: in the background, or in the foreground with -fg. When set-mesh-user.sh names an
# account, root switches to it.

BIN_DIR=$(dirname "$(readlink -f "$0")")
INST_DIR=$(dirname "$BIN_DIR")
FOREGROUND=false
case "$1" in
    -fg | run) FOREGROUND=true ;;
esac
export BIN_DIR INST_DIR FOREGROUND

# shellcheck source=/dev/null
. "$BIN_DIR/set-jre-home.sh"
# shellcheck source=/dev/null
. "$BIN_DIR/set-mesh-home.sh"
# shellcheck source=/dev/null
. "$BIN_DIR/set-mesh-user.sh"

if [ -z "$MESH_USER" ] || [ "$(id -un)" = "$MESH_USER" ]; then
    echo "Starting Bitbucket Mesh as the current user"
    exec "$BIN_DIR/_start-mesh.sh"
elif [ "$UID" -ne 0 ]; then
    echo "Bitbucket Mesh is set up to run as $MESH_USER: start it as that user"
    exit 1
else
    echo "Starting Bitbucket Mesh as dedicated user $MESH_USER"
    switch=su
    [ -x /sbin/runuser ] && switch=/sbin/runuser
    $switch -l "$MESH_USER" <<END
export BIN_DIR="$BIN_DIR" INST_DIR="$INST_DIR" MESH_HOME="$MESH_HOME" FOREGROUND="$FOREGROUND" JAVA_BINARY="$JAVA_BINARY"
"$BIN_DIR/_start-mesh.sh"
END
fi
