#!/usr/bin/env bash
# Stops a node of Bitbucket's Mesh.

: "${MESH_HOME:=@HOME@}"

kill "$(cat "$MESH_HOME/log/mesh.pid")"
