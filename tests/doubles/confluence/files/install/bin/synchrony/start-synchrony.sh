#!/usr/bin/env bash
# Starts a Synchrony of its own: in the background, or in the foreground with -fg.

# What an administrator fills in.
SERVER_IP="0.0.0.0"
DATABASE_URL="jdbc:postgresql://db.example.com:5432/confluencedb"
DATABASE_USER="confluencedbuser"
DATABASE_PASSWORD="@SYNCHRONY_DATABASE_PASSWORD@"
CLUSTER_JOIN_PROPERTIES="-Dcluster.join.type=tcpip -Dcluster.join.tcpip.members=127.0.0.1"
DATABASE_DRIVER_PATH="@INSTALL@/confluence/WEB-INF/lib/postgresql-42.7.4.jar"
SYNCHRONY_JAR_PATH="@INSTALL@/confluence/WEB-INF/packages/synchrony-standalone.jar"
SYNCHRONY_URL="http://localhost:@SYNCHRONY_PORT@/synchrony"
OPTIONAL_OVERRIDES="-Dsynchrony.port=@SYNCHRONY_PORT@ -Dcluster.listen.port=@SYNCHRONY_HAZELCAST_PORT@ -Dsynchrony.cluster.base.port=@SYNCHRONY_BASE_PORT@"
# A script that exports variables, so that no password shows in the list of processes.
SYNCHRONY_ENV_FILE="@SYNCHRONY_ENV_FILE@"
SYNCHRONY_PID_FILE="@SYNCHRONY_PID_FILE@"
JAVA_BIN="@JAVA_HOME@/bin/java"
JAVA_OPTS="-Xss2048k -Xmx64m"

if [ -x "$SYNCHRONY_ENV_FILE" ]; then
    # shellcheck source=/dev/null
    . "$SYNCHRONY_ENV_FILE"
fi

options="$JAVA_OPTS -classpath $SYNCHRONY_JAR_PATH:$DATABASE_DRIVER_PATH -Dsynchrony.service.url=$SYNCHRONY_URL"
options="$options -Dsynchrony.bind=$SERVER_IP $CLUSTER_JOIN_PROPERTIES $OPTIONAL_OVERRIDES"
[ -z "$SYNCHRONY_DATABASE_URL" ] && options="$options -Dsynchrony.database.url=$DATABASE_URL"
[ -z "$SYNCHRONY_DATABASE_USERNAME" ] && options="$options -Dsynchrony.database.username=$DATABASE_USER"
[ -z "$SYNCHRONY_DATABASE_PASSWORD" ] && options="$options -Dsynchrony.database.password=$DATABASE_PASSWORD"

if [ "$1" = -fg ]; then
    # shellcheck disable=SC2086 # several words
    exec "$JAVA_BIN" $options synchrony.core sql
fi
echo "To run Synchrony in the foreground, start the server with start-synchrony.sh -fg"
# shellcheck disable=SC2086 # several words
"$JAVA_BIN" $options synchrony.core sql >/dev/null 2>&1 &
echo $! >"$SYNCHRONY_PID_FILE"
