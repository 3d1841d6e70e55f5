# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same logging in all three formats, in the shape that the products ship it."""

from __future__ import annotations

LOG4J = """\
# To turn more verbose logging on - change "WARN" to "DEBUG"
log4j.rootLogger=WARN, filelog

log4j.appender.filelog=com.example.HomeAppender
log4j.appender.filelog.File=product.log
log4j.appender.securitylog=com.example.HomeAppender
log4j.appender.securitylog.File=product-security.log
log4j.appender.securitylog.layout.ConversionPattern=%d %t %X{username} \\
    %m%n

log4j.logger.com.example.login = {level}, {appender}
log4j.additivity.com.example.login = false
log4j.logger.com.example = WARN, filelog
log4j.additivity.com.example = false
"""

LOG4J2 = """\
# A comment
appender.filelog.type = RollingFile
appender.filelog.name = filelog
appender.filelog.fileName = ${{sys:product.home}}/log/product.log
appender.securitylog.type = RollingFile
appender.securitylog.name = securitylog
appender.securitylog.fileName = ${{sys:product.home}}/log/product-security.log
logger.login.name = com.example.login
logger.login.level = {level}
logger.login.additivity = false
logger.login.appenderRef.one.ref = {appender}
logger.example.name = com.example
logger.example.level = WARN
rootLogger.level = WARN
rootLogger.appenderRef.filelog.ref = filelog
"""

XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- <Logger name="com.example.login" level="TRACE"/> is no element -->
<Configuration>
    <Appenders>
        <HomeAppender name="filelog" fileName="product.log" filePattern="product.log.%i"/>
        <HomeAppender name="securitylog" fileName="product-security.log" filePattern="product-security.log.%i"/>
    </Appenders>
    <Loggers>
        <Root level="WARN"><AppenderRef ref="filelog"/></Root>
        <Logger name="com.example.login" level="{level}" additivity="false">
            <AppenderRef ref="{appender}"/>
        </Logger>
        <Logger name="com.example" level="WARN" additivity="true"/>
    </Loggers>
</Configuration>
"""

FILES = {"log4j_properties": LOG4J, "log4j2_properties": LOG4J2, "log4j2_xml": XML}

LOG = "product-security.log"


def content(form: str, level: str = "INFO", appender: str = "securitylog") -> str:
    """Return a configuration in which the logger of logins has a level and writes to an appender."""
    text = FILES[form]
    if form == "log4j_properties":
        return text.replace("{level}", level).replace("{appender}", appender)
    return text.format(level=level, appender=appender)
