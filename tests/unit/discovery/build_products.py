# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitbucket, Mesh, Bamboo and agents on a fake host, laid out as their sources in the product data tell."""

from __future__ import annotations

from typing import Any

from unit.discovery.fake_host import FakeHost

BITBUCKET = "/opt/atlassian/bitbucket/9.4.26"
BITBUCKET_HOME = "/var/atlassian/application-data/bitbucket"
MESH = "/opt/atlassian-bitbucket-mesh-3.4.5"
MESH_HOME = "/var/atlassian/application-data/mesh"
BAMBOO = "/opt/atlassian/bamboo"
BAMBOO_HOME = "/var/atlassian/application-data/bamboo"
AGENT = "/var/atlassian/application-data/bamboo-agent"

# In the order of the vendor's scripts: the environment wins, a comment or an empty value stays.
SET_HOME = """#!/bin/bash
if [ -z "${variable}" ]; then
    {variable}={value}
fi
if [ -z "${variable}" ]; then
    echo "{variable} is not set"
    return 1
fi
echo ${variable} | grep -q " "
if [ $? -eq 0 ]; then
    echo "spaces"
    return 1
fi
export {variable}
"""

SET_USER = """#!/bin/bash
if [ -n "${{{variable}}}" ]; then
    return
fi
{variable}="{value}"
export {variable}
"""

START_WEBAPP = """#!/bin/bash
if [ -z "$BIN_DIR" ] || [ -z "$INST_DIR" ] || [ -z "$BITBUCKET_HOME" ]; then
    echo "not to be run directly"
    exit 1
fi
JVM_SUPPORT_RECOMMENDED_ARGS="{arguments}"
if [ -z "${{JVM_MINIMUM_MEMORY}}" ]; then
    JVM_MINIMUM_MEMORY=512m
fi
umask 0027
UMASK=$(umask)
if echo $UMASK | grep -qv '0[2367]7$'; then
    FORCE_EXIT=false
    if [ "x${{FORCE_EXIT}}" = "xtrue" ]; then
        exit 1;
    fi
fi
source $BIN_DIR/set-jmx-opts.sh
BITBUCKET_ARGS="-Datlassian.standalone=BITBUCKET -Dbitbucket.home=$BITBUCKET_HOME -Dbitbucket.install=$INST_DIR"
JAVA_OPTS="-classpath $INST_DIR/app $JAVA_OPTS $BITBUCKET_ARGS $JMX_OPTS $JVM_SUPPORT_RECOMMENDED_ARGS"
"""

BITBUCKET_UNIT = f"""[Unit]
Description=Atlassian Bitbucket
[Service]
Type=forking
User=atlbitbucket
PIDFile={BITBUCKET_HOME}/log/bitbucket.pid
ExecStart={BITBUCKET}/bin/start-bitbucket.sh
ExecStop={BITBUCKET}/bin/stop-bitbucket.sh
"""

PROPERTIES = """# Created by hand
jdbc.driver=org.postgresql.Driver
jdbc.url=jdbc:postgresql://db.example.com:5432/bitbucket
jdbc.user=bitbucket
jdbc.password={ATL_SECURED}
"""

BAMBOO_SETENV = """#!/bin/bash
#BAMBOO_HOME=""
: ${JVM_SUPPORT_RECOMMENDED_ARGS:="-Dbamboo.websudo.disabled=true"}
: ${JVM_MINIMUM_MEMORY:="512m"}
: ${JVM_REQUIRED_ARGS:=""}
PRGDIR=`dirname "$0"`
cat "${PRGDIR}"/bamboobanner.txt
BAMBOO_HOME_MINUSD=""
if [ "$BAMBOO_HOME" != "" ]; then
    echo $BAMBOO_HOME | grep -q " "
    if [ $? -eq 0 ]; then
        echo "ignored"
    else
        BAMBOO_HOME_MINUSD=-Dbamboo.home=$BAMBOO_HOME
    fi
fi
CATALINA_OPTS="-Xms${JVM_MINIMUM_MEMORY} ${JVM_SUPPORT_RECOMMENDED_ARGS} ${JVM_REQUIRED_ARGS} ${BAMBOO_HOME_MINUSD}"
CATALINA_OPTS=$(echo "$CATALINA_OPTS" | sed -e 's/x$//')
export CATALINA_OPTS
"""

BAMBOO_SERVER_XML = """<?xml version="1.0" encoding="utf-8"?>
<Server port="8007" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <Connector port="8085" protocol="HTTP/1.1" address="127.0.0.1" proxyName="ci.example.com" proxyPort="443"/>
    <!-- <Connector port="8443" SSLEnabled="true"/> -->
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps">
        <Context path="/bamboo" docBase="${catalina.home}/atlassian-bamboo" reloadable="false"/>
      </Host>
    </Engine>
  </Service>
</Server>
"""

BAMBOO_UNIT = f"""[Service]
Type=forking
User=bamboo
ExecStart={BAMBOO}/bin/start-bamboo.sh
PIDFile={BAMBOO}/work/catalina.pid
"""

AGENT_UNIT = """[Unit]
Description=Atlassian Bamboo Agent
[Service]
Type=forking
User=bamboo
ExecStart={home}/bin/bamboo-agent.sh start
ExecStop={home}/bin/bamboo-agent.sh stop
"""

WRAPPER_CONF = """#encoding=UTF-8
wrapper.java.command=java
wrapper.java.mainclass=org.tanukisoftware.wrapper.WrapperSimpleApp
wrapper.java.classpath.1=../lib/wrapper.jar
wrapper.java.classpath.2=../lib/bamboo-agent-bootstrap.jar
wrapper.java.additional.1=-Dbamboo.home={home}
wrapper.java.additional.2=-Dbamboo.agent.ignoreServerCertName=true
wrapper.app.parameter.1=com.atlassian.bamboo.agent.bootstrap.AgentBootstrap
wrapper.app.parameter.2=https://ci.example.com/agentServer
wrapper.app.parameter.3=0123456789abcdef
"""


def bitbucket(
    host: FakeHost, install: str = BITBUCKET, home: str = '"/x"', user: str = "", arguments: str = ""
) -> None:
    """Install Bitbucket; ``home`` is what its script says, as written there."""
    host.write(f"{install}/bin/start-bitbucket.sh", "#!/usr/bin/env bash\n")
    host.write(f"{install}/bin/set-bitbucket-home.sh", SET_HOME.format(variable="BITBUCKET_HOME", value=home))
    host.write(f"{install}/bin/set-bitbucket-user.sh", SET_USER.format(variable="BITBUCKET_USER", value=user))
    host.write(f"{install}/bin/_start-webapp.sh", START_WEBAPP.format(arguments=arguments))
    host.write(f"{install}/app/WEB-INF/lib/bitbucket-process-9.4.26.jar", "")
    host.write(f"{install}/app/WEB-INF/lib/nuprocess-2.0.2-atlassian-3.jar", "")


def bitbucket_home(host: FakeHost, properties: str | None = PROPERTIES, home: str = BITBUCKET_HOME) -> None:
    host.path(f"{home}/shared/data/repositories").mkdir(parents=True)
    host.write(f"{home}/log/atlassian-bitbucket.log", "")
    if properties is not None:
        host.write(f"{home}/shared/bitbucket.properties", properties)


def bitbucket_process(host: FakeHost, pid: int = 100, home: str = BITBUCKET_HOME, **more: Any) -> None:
    command: list[str | bytes] = [
        "/usr/lib/jvm/java-17/bin/java",
        "-classpath",
        f"{BITBUCKET}/app",
        "-Datlassian.standalone=BITBUCKET",
        f"-Dbitbucket.home={home}",
        f"-Dbitbucket.install={BITBUCKET}",
        "-Xmx1g",
        f"-Djava.io.tmpdir={home}/tmp",
        "com.atlassian.bitbucket.internal.launcher.BitbucketServerLauncher",
        "start",
    ]
    host.process(pid, command=command, cgroup="0::/system.slice/atlbitbucket.service", **more)


def mesh(
    host: FakeHost, install: str = MESH, home: str = MESH_HOME, properties: str | None = "grpc.server.port=7777\n"
) -> None:
    host.write(f"{install}/bin/start-mesh.sh", "#!/usr/bin/env bash\n")
    host.write(f"{install}/bin/mesh-app.jar", "")
    host.write(f"{install}/bin/set-mesh-home.sh", SET_HOME.format(variable="MESH_HOME", value=home))
    host.write(f"{install}/bin/set-mesh-user.sh", SET_USER.format(variable="MESH_USER", value="bitbucket"))
    host.path(f"{home}/data/repositories").mkdir(parents=True)
    if properties is not None:
        host.write(f"{home}/mesh.properties", properties)


def mesh_unit(host: FakeHost, install: str = MESH, name: str = "mesh.service") -> None:
    host.unit(name, f"[Service]\nType=forking\nUser=bitbucket\nExecStart={install}/bin/start-mesh.sh\n")


def bamboo(host: FakeHost, install: str = BAMBOO, home: str = BAMBOO_HOME) -> None:
    host.write(f"{install}/bin/start-bamboo.sh", "#!/bin/bash\n")
    host.write(f"{install}/bin/setenv.sh", BAMBOO_SETENV)
    host.write(f"{install}/bin/bamboobanner.txt", "\nBamboo Data Center\n   Version : 12.1.12\n")
    host.write(f"{install}/conf/server.xml", BAMBOO_SERVER_XML)
    host.write(f"{install}/atlassian-bamboo/WEB-INF/web.xml", "<web-app/>")
    init = f"{install}/atlassian-bamboo/WEB-INF/classes/bamboo-init.properties"
    host.write(init, f"## You can specify your bamboo.home property here\n\nbamboo.home={home}\n")
    host.write(f"{home}/bamboo.cfg.xml", "<application-configuration/>")
    host.path(f"{home}/shared/configuration/cipher").mkdir(parents=True)


def bamboo_process(host: FakeHost, pid: int = 200) -> None:
    command: list[str | bytes] = [
        "/usr/lib/jvm/java-21/bin/java",
        "--add-opens",
        "java.base/java.security=ALL-UNNAMED",
        "-classpath",
        f"{BAMBOO}/bin/bootstrap.jar:{BAMBOO}/bin/tomcat-juli.jar",
        f"-Dcatalina.base={BAMBOO}",
        f"-Dcatalina.home={BAMBOO}",
        "org.apache.catalina.startup.Bootstrap",
        "start",
    ]
    host.process(pid, command=command, cgroup="0::/system.slice/bamboo.service")


def agent(host: FakeHost, home: str = AGENT, conf: str = WRAPPER_CONF) -> None:
    host.write(f"{home}/bin/bamboo-agent.sh", "#! /bin/sh\n")
    host.write(f"{home}/bin/bamboo-capabilities.properties", "system.git.executable=/usr/bin/git\n")
    host.write(f"{home}/conf/wrapper.conf", conf.replace("{home}", home))
    host.write(f"{home}/lib/bamboo-agent-bootstrap.jar", "")
    host.write(f"{home}/classpath/atlassian-bamboo-agent-core-12.1.12.jar", "")
    host.write(f"{home}/bamboo-agent.cfg.xml", "<configuration/>")
    host.path(f"{home}/xml-data/build-dir/PROJ-PLAN-JOB1").mkdir(parents=True)


def agent_process(host: FakeHost, pid: int = 300, home: str = AGENT, unit: str = "bamboo-agent", **more: Any) -> None:
    command: list[str | bytes] = [
        "/usr/bin/java",
        f"-Dbamboo.home={home}",
        "-Xmx512m",
        "-Djava.library.path=../lib",
        "-classpath",
        "../lib/wrapper.jar:../lib/bamboo-agent-bootstrap.jar",
        "-Dwrapper.pid=299",
        "org.tanukisoftware.wrapper.WrapperSimpleApp",
        "com.atlassian.bamboo.agent.bootstrap.AgentBootstrap",
        "https://ci.example.com/agentServer",
        "0123456789abcdef",
    ]
    host.process(pid, command=command, cgroup=f"0::/system.slice/{unit}.service", folder=f"{home}/bin", **more)
