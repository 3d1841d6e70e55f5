# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# No unit, only SysV scripts, from which systemd makes units. One changes to the account itself, the other one of a second
# installation leaves that to the product's start script.
systemctl stop jira.service
rm /etc/systemd/system/jira.service
cat > /etc/init.d/jira <<'SCRIPT'
#!/bin/sh -e
### BEGIN INIT INFO
# Provides:          jira
# Required-Start:    $local_fs $remote_fs $network $time
# Required-Stop:     $local_fs $remote_fs $network $time
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Atlassian Jira
### END INIT INFO
APP=jira
USER=jira
BASE=/opt/atlassian/jira
case "$1" in
  start)
    echo "Starting $APP"
    su - $USER -c "$BASE/bin/startup.sh > /dev/null 2>&1"
    ;;
  stop)
    echo "Stopping $APP"
    su - $USER -c "$BASE/bin/shutdown.sh 20 -force > /dev/null 2>&1"
    ;;
  restart|force-reload)
    $0 stop
    $0 start
    ;;
  *)
    echo "Usage: $0 {start|stop|restart}"
    exit 1
    ;;
esac
SCRIPT
chown -R jira:jira /opt/atlassian/jira /var/atlassian/application-data/jira

cp -a /opt/atlassian/jira /opt/atlassian/jira-ops
cp -a /var/atlassian/application-data/jira /var/atlassian/application-data/jira-ops
cd /opt/atlassian/jira-ops || exit
sed -i 's/8080/8081/; s/8005/8006/' conf/server.xml
sed -i 's#application-data/jira$#application-data/jira-ops#' atlassian-jira/WEB-INF/classes/jira-application.properties
sed -i 's/^JIRA_USER=.*/JIRA_USER="jiraops" ##/' bin/user.sh
useradd --create-home --shell /bin/bash jiraops
chown -R jiraops:jiraops /opt/atlassian/jira-ops /var/atlassian/application-data/jira-ops
sed -e 's#/opt/atlassian/jira#/opt/atlassian/jira-ops#; s/Provides:          jira/Provides:          jira-ops/' \
    -e "s#su - .*startup.sh.*#\$BASE/bin/start-jira.sh#; s#su - .*shutdown.sh.*#\$BASE/bin/stop-jira.sh#" \
    /etc/init.d/jira > /etc/init.d/jira-ops

chmod 755 /etc/init.d/jira /etc/init.d/jira-ops
systemctl daemon-reload
systemctl enable --quiet jira jira-ops
systemctl start jira jira-ops
