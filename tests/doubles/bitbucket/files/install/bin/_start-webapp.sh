#!/usr/bin/env bash
# Starts the web application; start-bitbucket.sh calls it with everything in the environment.

if [ -z "$INST_DIR" ] || [ -z "$BITBUCKET_HOME" ]; then
    echo "$0 is not to be run directly: run start-bitbucket.sh instead"
    exit 1
fi

: "${JVM_MINIMUM_MEMORY:=@MIN_MEMORY@}"
: "${JVM_MAXIMUM_MEMORY:=@MAX_MEMORY@}"
: "${JVM_SUPPORT_RECOMMENDED_ARGS:=@SUPPORT_ARGS@}"

# Whatever the account's own is.
umask 0027

for folder in log tmp; do
    if ! mkdir -p "$BITBUCKET_HOME/$folder"; then
        echo "$BITBUCKET_HOME/$folder could not be created. The Bitbucket webapp was not started"
        exit 1
    fi
done

# shellcheck source=/dev/null
. "$BIN_DIR/set-jmx-opts.sh"

options="-classpath $INST_DIR/app -Datlassian.standalone=BITBUCKET -Dbitbucket.home=$BITBUCKET_HOME -Dbitbucket.install=$INST_DIR"
options="$options -Xms$JVM_MINIMUM_MEMORY -Xmx$JVM_MAXIMUM_MEMORY -XX:+UseG1GC -Dfile.encoding=UTF-8 -Dsun.jnu.encoding=UTF-8"
options="$options -Djava.io.tmpdir=$BITBUCKET_HOME/tmp -Djava.library.path=$INST_DIR/lib/native:$BITBUCKET_HOME/lib/native"
options="$options $JMX_OPTS $JVM_SUPPORT_RECOMMENDED_ARGS"
launcher=com.atlassian.bitbucket.internal.launcher.BitbucketServerLauncher

if [ "$FOREGROUND" = true ]; then
    # shellcheck disable=SC2086 # several words
    exec "$JAVA_BINARY" $options $launcher start --logging.console=true
fi
# shellcheck disable=SC2086 # several words
nohup "$JAVA_BINARY" $options $launcher start >"$BITBUCKET_HOME/log/launcher.log" 2>&1 </dev/null &
echo $! >"$BITBUCKET_HOME/log/bitbucket.pid"
echo "Success! The Bitbucket webapp has been started."
