#!/usr/bin/env bash
# Ends a node of Bitbucket's Mesh and waits for it.

BIN_DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$BIN_DIR/set-mesh-home.sh"

pid=$(cat "$MESH_HOME/log/mesh.pid") || exit 0
kill "$pid" 2>/dev/null || exit 0
for _second in $(seq 30); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 1
done
