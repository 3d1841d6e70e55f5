# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Nothing that systemd knows: a script that is not executable any more, called by rc.local.
systemctl stop jira.service
rm /etc/systemd/system/jira.service
chown -R jira:jira /opt/atlassian/jira /var/atlassian/application-data/jira
cat > /etc/init.d/jira <<'SCRIPT'
#!/bin/sh
# start or stop
if [ "$1" = start ]; then script=start-jira.sh; else script=stop-jira.sh; fi
su - jira -c "/opt/atlassian/jira/bin/$script > /dev/null 2>&1"
SCRIPT
printf '#!/bin/sh\nsh /etc/init.d/jira start\n' > /etc/rc.local
chmod 755 /etc/rc.local
systemctl daemon-reload
systemctl start rc-local.service
