# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confluence, Synchrony and Crowd as they are found on hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import below, permission_trees
from unit.discovery.fake_host import INSTALL as JIRA_INSTALL
from unit.discovery.fake_host import UNIT as JIRA_UNIT
from unit.discovery.fake_host import FakeHost, messages

CONFLUENCE = "/opt/atlassian/confluence"
CONFLUENCE_HOME = "/var/atlassian/application-data/confluence"
SYNCHRONY = "/srv/synchrony"
CROWD = "/opt/atlassian/crowd"
CROWD_HOME = "/var/atlassian/application-data/crowd"

CONFLUENCE_SERVER_XML = """<Server port="8000" shutdown="SHUTDOWN" debug="0">
  <Service name="Tomcat-Standalone">
    <Connector port="8090" connectionTimeout="20000" redirectPort="8443" maxThreads="48" URIEncoding="UTF-8"
               protocol="org.apache.coyote.http11.Http11NioProtocol"/>
    <Engine name="Standalone" defaultHost="localhost" debug="0">
      <Host name="localhost" debug="0" appBase="webapps" unpackWARs="true" autoDeploy="false">
        <Context path="${confluence.context.path}/synchrony-proxy" docBase="../synchrony-proxy" debug="0"/>
        <Context path="/wiki" docBase="../confluence" debug="0" reloadable="false" useHttpOnly="true"/>
      </Host>
    </Engine>
  </Service>
</Server>
"""

CONFLUENCE_SETENV = """
HERE=`pwd`
[ -r "$CATALINA_HOME"/bin/setjre.sh ] && . "$CATALINA_HOME"/bin/setjre.sh
CATALINA_OPTS="-Xlog:gc:file=$HERE/logs/gc-`date +%F`.log ${CATALINA_OPTS}"
CATALINA_OPTS="-Xmx1024m -Dconfluence.context.path=`cat path` ${START_CONFLUENCE_JAVA_OPTS} ${CATALINA_OPTS}"
export CATALINA_OPTS
"""

CONFLUENCE_CFG = """<?xml version="1.0" encoding="UTF-8"?>
<confluence-configuration>
  <setupStep>complete</setupStep>
  <properties>
    <property name="hibernate.connection.url">jdbc:postgresql://db.example.com:5432/confluence</property>
    <property name="hibernate.connection.password">hunter2</property>
    {properties}
  </properties>
</confluence-configuration>
"""

CONFLUENCE_UNIT = """[Unit]
Description=Confluence
[Service]
Type=forking
User={user}
PIDFile=/opt/atlassian/confluence/work/catalina.pid
ExecStart=/opt/atlassian/confluence/bin/start-confluence.sh
ExecStop=/opt/atlassian/confluence/bin/stop-confluence.sh
[Install]
WantedBy=multi-user.target
"""

START_SYNCHRONY = """#!/bin/bash
DATABASE_PASSWORD=hunter2
JAVA_OPTS="-Xss2048k -Xmx2g"
SYNCHRONY_OPTS="-classpath /srv/synchrony/synchrony-standalone.jar:/srv/synchrony/postgresql.jar"
SYNCHRONY_OPTS="$SYNCHRONY_OPTS -Dsynchrony.bind=192.0.2.7 -Dcluster.join.type=tcpip"
[ -z "$SYNCHRONY_DATABASE_PASSWORD" ] && SYNCHRONY_OPTS="$SYNCHRONY_OPTS \\
-Dsynchrony.database.password=$DATABASE_PASSWORD"
java $JAVA_OPTS $SYNCHRONY_OPTS synchrony.core sql &
echo $! > synchrony.pid
"""

CROWD_SERVER_XML = """<?xml version="1.0" encoding="utf-8"?>
<Server port="8020" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <Connector acceptCount="100" connectionTimeout="20000" port="8095" redirectPort="8443" URIEncoding="UTF-8"/>
    <Engine defaultHost="localhost" name="Catalina">
      <Host appBase="webapps" autoDeploy="true" name="localhost" unpackWARs="true">{context}</Host>
    </Engine>
  </Service>
</Server>
"""

CROWD_CFG = """<?xml version="1.0" encoding="UTF-8"?>
<application-configuration>
  <setupStep>complete</setupStep>
  <properties>
    <property name="crowd.clustering.enabled">{clustering}</property>
    <property name="hibernate.connection.url">jdbc:postgresql://db.example.com/crowd</property>
  </properties>
</application-configuration>
"""


class Confluence:
    """Builds a Confluence on a host."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        write = host.write
        write(f"{CONFLUENCE}/bin/start-confluence.sh", "#!/bin/bash\n. `dirname $0`/user.sh\n")
        write(f"{CONFLUENCE}/bin/setenv.sh", CONFLUENCE_SETENV)
        write(f"{CONFLUENCE}/bin/setjre.sh", 'JRE_HOME="/opt/atlassian/confluence/jre/"; export JRE_HOME\n')
        write(f"{CONFLUENCE}/bin/user.sh", 'CONF_USER="" ##\nexport CONF_USER\n')
        # Every Confluence ships the scripts of a standalone Synchrony.
        write(f"{CONFLUENCE}/bin/synchrony/start-synchrony.sh", "#!/bin/bash\n")
        write(f"{CONFLUENCE}/conf/server.xml", CONFLUENCE_SERVER_XML)
        write(f"{CONFLUENCE}/confluence/WEB-INF/web.xml", "<web-app/>")
        write(f"{CONFLUENCE}/confluence/WEB-INF/lib/confluence-9.2.23.jar", "")
        write(f"{CONFLUENCE}/confluence/WEB-INF/lib/confluence-bundled-api-1.0.jar", "")
        write(
            f"{CONFLUENCE}/confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties",
            "version=9.2.23\n",
        )
        self.init_properties(CONFLUENCE_HOME)
        self.config()

    def init_properties(self, home: str) -> None:
        path = f"{CONFLUENCE}/confluence/WEB-INF/classes/confluence-init.properties"
        self.host.write(path, f"# comment\nconfluence.home = {home}\n")

    def config(self, **properties: str) -> None:
        lines = [
            f'<property name="{name.replace("__", "-").replace("_", ".")}">{value}</property>'
            for name, value in properties.items()
        ]
        self.host.write(f"{CONFLUENCE_HOME}/confluence.cfg.xml", CONFLUENCE_CFG.format(properties="\n".join(lines)))

    def unit(self, user: str = "confluence") -> None:
        self.host.account("confluence", 2002, 2002, "confluence")
        self.host.unit("confluence.service", CONFLUENCE_UNIT.format(user=user))

    def start(self, pid: int = 1125) -> None:
        command = [
            f"{CONFLUENCE}/jre//bin/java",
            "-Dconfluence.context.path=/wiki",
            "-Xms1024m",
            "-classpath",
            f"{CONFLUENCE}/bin/bootstrap.jar:{CONFLUENCE}/bin/tomcat-juli.jar",
            f"-Dcatalina.base={CONFLUENCE}",
            f"-Dcatalina.home={CONFLUENCE}",
            "org.apache.catalina.startup.Bootstrap",
            "start",
        ]
        self.host.process(pid, command=[*command], uid=2002, cgroup="0::/system.slice/confluence.service")

    def start_synchrony(self, jar: str, **more: Any) -> None:
        """Start the JVM of Synchrony."""
        command = [
            f"{CONFLUENCE}/jre/bin/java",
            "-classpath",
            f"{jar}:{CONFLUENCE}/confluence/WEB-INF/lib/postgresql-42.7.jar",
            "-Xss2048k",
            "-Xmx2g",
            *more.pop("arguments", []),
            "synchrony.core",
            "sql",
        ]
        options = {"uid": 2002, "cgroup": "0::/system.slice/confluence.service", **more}
        self.host.process(1426, command=command, **options)


def crowd(host: FakeHost, context: str = '<Context path="/crowd" docBase="../../crowd-webapp"/>') -> None:
    """Build a Crowd on a host."""
    host.account("crowd", 2004, 2004, "crowd")
    host.write(f"{CROWD}/start_crowd.sh", "#!/bin/bash\n")
    host.write(f"{CROWD}/apache-tomcat/conf/server.xml", CROWD_SERVER_XML.format(context=context))
    host.write(f"{CROWD}/apache-tomcat/bin/setenv.sh", 'JAVA_OPTS="-Xms128m -Xmx512m $JAVA_OPTS"\nexport JAVA_OPTS\n')
    host.write(
        f"{CROWD}/crowd-webapp/WEB-INF/classes/crowd-init.properties", f"#crowd.home=/x\ncrowd.home={CROWD_HOME}\n"
    )
    host.write(f"{CROWD}/crowd-webapp/WEB-INF/lib/crowd-core-7.1.4.jar", "")
    host.write(f"{CROWD_HOME}/shared/crowd.cfg.xml", CROWD_CFG.format(clustering="false"))
    host.unit(
        "crowd.service",
        f"[Service]\nType=forking\nUser=crowd\nExecStart={CROWD}/start_crowd.sh\n"
        f"PIDFile={CROWD}/apache-tomcat/work/catalina.pid\n",
    )


def found(host: FakeHost) -> dict[str, dict[str, Any]]:
    """Return the instances of a host by name."""
    return {instance["name"]: instance for instance in host.discover()["instances"]}


@pytest.fixture
def confluence(host: FakeHost) -> Confluence:
    """Return a host with a stopped Confluence."""
    result = Confluence(host)
    result.unit()
    return result


class TestConfluence:
    def test_stopped(self, confluence: Confluence) -> None:
        (instance,) = found(confluence.host).values()
        assert messages(instance) == ""
        assert (instance["version"], instance["unit"], instance["service_account"]) == (
            "9.2.23",
            "confluence.service",
            "confluence",
        )
        assert (instance["home_dir"], instance["shared_home_dir"]) == (CONFLUENCE_HOME, None)
        assert instance["status_url"] == "http://127.0.0.1:8090/wiki/status"
        assert instance["shutdown_port"] == 8000
        assert instance["working_dirs"] == [
            f"{CONFLUENCE}/{name}" for name in ("conf/Catalina", "logs", "temp", "work")
        ]
        assert instance["web_root"] == f"{CONFLUENCE}/confluence"
        assert instance["log_dirs"] == [f"{CONFLUENCE}/logs", f"{CONFLUENCE_HOME}/log/audit", f"{CONFLUENCE_HOME}/logs"]
        assert "-Xmx1024m" in instance["start_jvm_arguments"]
        assert not [word for word in instance["start_jvm_arguments"] if "gc-" in word]

    def test_managed_synchrony_is_a_companion(self, confluence: Confluence) -> None:
        confluence.start()
        confluence.start_synchrony(f"{CONFLUENCE}/temp/4.0.0-master-3b3337da.jar", parent=1125)
        result = confluence.host.discover()
        (instance,) = result["instances"]
        assert result["problems"] == []
        assert (instance["pid"], instance["running_user"]) == (1125, "confluence")
        assert instance["companions"] == [
            {
                "name": "synchrony",
                "pid": 1426,
                "running_user": "confluence",
                "running_uid": 2002,
                "unit": "confluence.service",
            }
        ]
        assert messages(instance) == ""

    def test_managed_synchrony_outlives_its_parent(self, confluence: Confluence) -> None:
        confluence.start_synchrony(f"{CONFLUENCE}/temp/4.0.0-master-3b3337da.jar", parent=1)
        (instance,) = found(confluence.host).values()
        assert not instance["running"]
        assert [item["name"] for item in instance["companions"]] == ["synchrony"]

    def test_synchrony_out_of_the_install_tree_in_a_unit_of_its_own(self, confluence: Confluence) -> None:
        confluence.host.unit("synchrony.service", f"[Service]\nExecStart={CONFLUENCE}/bin/start-synchrony\n")
        jar = f"{CONFLUENCE}/confluence/WEB-INF/packages/synchrony-standalone.jar"
        confluence.start_synchrony(jar, cgroup="0::/system.slice/synchrony.service")
        (instance,) = found(confluence.host).values()
        assert instance["companions"][0]["unit"] == "synchrony.service"
        assert "synchrony.service, a unit of its own that is not judged" in messages(instance)

    def test_member_of_a_cluster(self, confluence: Confluence) -> None:
        host = confluence.host
        host.write("/mnt/confluence/attachments/x", "")
        confluence.config(
            confluence_cluster="true", confluence_cluster_home="/mnt/confluence", confluence_cluster_node_name="n1"
        )
        (instance,) = found(host).values()
        assert instance["shared_home_dir"] == "/mnt/confluence"
        assert (instance["cluster"]["node_id"], instance["cluster"]["shared_home"]) == ("n1", "/mnt/confluence")
        assert {"path": "/mnt/confluence/confluence.cfg.xml", "tree": "shared_home"} in instance["secret_files"]
        assert "/mnt/confluence/backups" in instance["archive_dirs"]

    def test_cluster_switched_off(self, confluence: Confluence) -> None:
        confluence.config(confluence_cluster="false")
        (instance,) = found(confluence.host).values()
        assert instance["cluster"] is None

    def test_shared_home_of_a_single_node(self, confluence: Confluence) -> None:
        confluence.host.write(f"{CONFLUENCE_HOME}/shared-home/confluence.cfg.xml", CONFLUENCE_CFG.format(properties=""))
        (instance,) = found(confluence.host).values()
        assert (instance["shared_home_dir"], instance["cluster"]) == (f"{CONFLUENCE_HOME}/shared-home", None)

    def test_account_of_the_user_file(self, confluence: Confluence) -> None:
        confluence.host.account("confluence1", 2003, 2003, "confluence1")
        confluence.host.write(f"{CONFLUENCE}/bin/user.sh", 'CONF_USER="confluence1" ##\nexport CONF_USER\n')
        confluence.unit(user="")
        (instance,) = found(confluence.host).values()
        assert (instance["unit_user"], instance["service_account"]) == ("root", "confluence1")
        assert instance["service_account_source"] == "user file bin/user.sh"

    def test_version_without_metadata(self, confluence: Confluence) -> None:
        pom = f"{CONFLUENCE}/confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
        confluence.host.path(pom).unlink()
        (instance,) = found(confluence.host).values()
        assert instance["version_source"] == f"{CONFLUENCE}/confluence/WEB-INF/lib/confluence-9.2.23.jar"
        assert instance["version"] == "9.2.23"


class TestHalfConfigured:
    def test_missing_init_file(self, confluence: Confluence) -> None:
        path = f"{CONFLUENCE}/confluence/WEB-INF/classes/confluence-init.properties"
        confluence.host.path(path).unlink()
        (instance,) = found(confluence.host).values()
        assert (instance["home_dir"], instance["home_source"]) == (CONFLUENCE_HOME, "known default place")

    def test_missing_init_file_and_no_home(self, confluence: Confluence) -> None:
        confluence.host.path(f"{CONFLUENCE}/confluence/WEB-INF/classes/confluence-init.properties").unlink()
        confluence.host.path(f"{CONFLUENCE_HOME}/confluence.cfg.xml").unlink()
        (instance,) = found(confluence.host).values()
        assert instance["home_dir"] is None
        assert instance["archive_dirs"] is None

    def test_unreadable_init_file(self, confluence: Confluence) -> None:
        path = f"{CONFLUENCE}/confluence/WEB-INF/classes/confluence-init.properties"
        confluence.host.path(path).unlink()
        confluence.host.path(path).mkdir()
        (instance,) = found(confluence.host).values()
        assert f"{path}: is not a regular file" in messages(instance)

    def test_home_that_does_not_exist(self, confluence: Confluence) -> None:
        confluence.init_properties("/data/confluence")
        (instance,) = found(confluence.host).values()
        assert instance["home_dir"] == "/data/confluence"
        assert "/data/confluence: is the home directory according to" in messages(instance)

    def test_home_of_another_product(self, confluence: Confluence) -> None:
        confluence.host.home()
        confluence.init_properties("/var/atlassian/application-data/jira")
        (instance,) = found(confluence.host).values()
        assert instance["home_dir"] is None
        assert "holds other things but nothing of Confluence" in messages(instance)

    @pytest.mark.parametrize(
        "content", ["<confluence-configuration><properties>", "", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"]
    )
    def test_malformed_config(self, confluence: Confluence, content: str) -> None:
        confluence.host.write(f"{CONFLUENCE_HOME}/confluence.cfg.xml", content)
        (instance,) = found(confluence.host).values()
        assert f"{CONFLUENCE_HOME}/confluence.cfg.xml: " in messages(instance)
        assert (instance["home_dir"], instance["cluster"], instance["shared_home_dir"]) == (CONFLUENCE_HOME, None, None)

    def test_malformed_server_xml(self, confluence: Confluence) -> None:
        confluence.host.write(f"{CONFLUENCE}/conf/server.xml", "<Server><Connector")
        (instance,) = found(confluence.host).values()
        assert (instance["http_port"], instance["status_url"]) == (None, None)
        assert "server.xml: line 1: not well-formed XML" in messages(instance)

    def test_malformed_init_properties(self, host: FakeHost) -> None:
        crowd(host)
        host.write(f"{CROWD}/crowd-webapp/WEB-INF/classes/crowd-init.properties", "crowd.home=\\u00\n")
        (instance,) = found(host).values()
        assert "crowd-init.properties: line 1: a \\u escape is not followed" in messages(instance)
        assert instance["home_source"] == "known default place"

    def test_setup_not_begun(self, host: FakeHost) -> None:
        crowd(host)
        host.path(f"{CROWD_HOME}/shared/crowd.cfg.xml").unlink()
        host.path(f"{CROWD_HOME}/shared").rmdir()
        (instance,) = found(host).values()
        assert (instance["home_dir"], instance["shared_home_dir"], instance["cluster"]) == (CROWD_HOME, None, None)
        assert messages(instance) == ""


class TestSynchrony:
    @pytest.fixture
    def standalone(self, confluence: Confluence) -> Confluence:
        host = confluence.host
        host.account("synchrony", 2010, 2010, "synchrony")
        host.write(f"{SYNCHRONY}/start-synchrony.sh", START_SYNCHRONY)
        host.write(f"{SYNCHRONY}/stop-synchrony.sh", "#!/bin/bash\n")
        host.unit(
            "synchrony.service",
            f"[Service]\nType=forking\nUser=synchrony\nPIDFile={SYNCHRONY}/synchrony.pid\n"
            f"ExecStart={SYNCHRONY}/start-synchrony.sh\nExecStop={SYNCHRONY}/stop-synchrony.sh\n",
        )
        return confluence

    def test_not_there_because_confluence_ships_its_scripts(self, confluence: Confluence) -> None:
        assert list(found(confluence.host)) == ["confluence"]

    def test_stopped(self, standalone: Confluence) -> None:
        instance = found(standalone.host)["confluence_synchrony"]
        assert (instance["unit"], instance["service_account"]) == ("synchrony.service", "synchrony")
        assert instance["install_dir"] == instance["home_dir"] == SYNCHRONY
        assert instance["status_url"] == "http://192.0.2.7:8091/synchrony/heartbeat"
        assert instance["up_states"] == ["OK"]
        assert {"-Xmx2g", "-Dcluster.join.type=tcpip", "-Dsynchrony.database.password=********"} <= set(
            instance["start_jvm_arguments"]
        )
        assert "-classpath" not in instance["start_jvm_arguments"]
        assert (instance["working_dirs"], instance["log_dirs"], instance["version"], instance["web_root"]) == (
            [],
            None,
            None,
            "",
        )
        assert messages(instance) == ""

    @pytest.mark.parametrize(
        "jar", [f"{SYNCHRONY}/synchrony-standalone.jar", f"{CONFLUENCE_HOME}/synchrony-standalone.jar"]
    )
    def test_runs_beside_confluence(self, standalone: Confluence, jar: str) -> None:
        standalone.start()
        arguments = ["-Dsynchrony.port=8099", "-Dsynchrony.bind=127.0.0.1", "-Dsynchrony.context.path=/live"]
        standalone.start_synchrony(jar, uid=2010, cgroup="0::/system.slice/synchrony.service", arguments=arguments)
        result = standalone.host.discover()
        instances = {instance["name"]: instance for instance in result["instances"]}
        assert result["problems"] == []
        assert (instances["confluence"]["pid"], instances["confluence"]["companions"]) == (1125, [])
        synchrony = instances["confluence_synchrony"]
        assert (synchrony["pid"], synchrony["running_user"]) == (1426, "synchrony")
        assert synchrony["status_url"] == "http://127.0.0.1:8099/live/heartbeat"
        borrowed = f"{jar}: is run by synchrony, but lies in a home only confluence may read; copy it"
        assert messages(synchrony) == ("" if jar.startswith(SYNCHRONY) else borrowed)

    def test_started_by_hand(self, standalone: Confluence) -> None:
        host = standalone.host
        host.path("/etc/systemd/system/synchrony.service").unlink()
        standalone.start_synchrony(
            f"{SYNCHRONY}/synchrony-standalone.jar", uid=2010, cgroup="0::/user.slice/session-3.scope"
        )
        instance = found(host)["confluence_synchrony"]
        assert (instance["running"], instance["unit"]) == (True, None)

    def test_on_a_host_of_its_own(self, host: FakeHost) -> None:
        host.write(f"{SYNCHRONY}/start-synchrony.sh", START_SYNCHRONY)
        script = f'#!/bin/bash\ncd "{SYNCHRONY}"\n"/sbin/runuser" -m "synchrony" -c "./start-synchrony.sh"\n'
        host.write("/etc/init.d/synchrony", script)
        (instance,) = found(host).values()
        assert (instance["product"], instance["init_script"]) == ("confluence_synchrony", "/etc/init.d/synchrony")
        assert instance["service_account"] == ("synchrony" if host.path(SYNCHRONY).stat().st_uid == 0 else "jira")

    def test_in_the_folder_confluence_ships(self, confluence: Confluence) -> None:
        folder = f"{CONFLUENCE}/bin/synchrony"
        confluence.host.unit(
            "synchrony.service", f"[Service]\nUser=confluence\nExecStart={folder}/start-synchrony.sh -fg\n"
        )
        instances = found(confluence.host)
        assert instances["confluence_synchrony"]["home_dir"] == folder
        trees = permission_trees(list(instances.values()))
        outer = next(tree for tree in trees if tree.get("path") == CONFLUENCE and tree.get("trait_control"))
        assert {"path": "bin/synchrony", "reason": "judged with confluence_synchrony"} in outer["exceptions"]
        above = [tree["path"] for tree in trees if tree.get("path") and "above" in tree["name"]]
        assert not [path for path in above if below(path, CONFLUENCE) is not None]


class TestCrowd:
    def test_alone(self, host: FakeHost) -> None:
        crowd(host)
        (instance,) = found(host).values()
        assert messages(instance) == ""
        assert (instance["version"], instance["unit"], instance["service_account"]) == (
            "7.1.4",
            "crowd.service",
            "crowd",
        )
        assert (instance["home_dir"], instance["shared_home_dir"]) == (CROWD_HOME, f"{CROWD_HOME}/shared")
        assert instance["status_url"] == "http://127.0.0.1:8095/crowd/status"
        assert (instance["shutdown_port"], instance["cluster"], instance["user_file"]) == (8020, None, None)
        assert instance["working_dirs"] == [
            f"{CROWD}/{name}" for name in ("apache-tomcat/logs", "apache-tomcat/temp", "apache-tomcat/work", "database")
        ]
        assert {"path": f"{CROWD}/apache-tomcat/conf/server.xml", "tree": "install"} in instance["secret_files"]
        assert {"path": f"{CROWD_HOME}/shared/keys/**", "tree": "shared_home"} in instance["secret_files"]
        assert instance["start_jvm_arguments"] == ["-Xms128m", "-Xmx512m"]

    @pytest.mark.parametrize("base", [f"{CROWD}/apache-tomcat", f"{CROWD}/apache-tomcat/"])
    def test_running(self, host: FakeHost, base: str) -> None:
        crowd(host)
        command = [
            "/usr/bin/java",
            "-Dcrowd.home=/srv/crowd",
            f"-Dcatalina.base={base}",
            "org.apache.catalina.startup.Bootstrap",
        ]
        host.process(70, command=[*command], uid=2004, cgroup="0::/system.slice/crowd.service")
        host.write("/srv/crowd/shared/crowd.cfg.xml", CROWD_CFG.format(clustering="true"))
        (instance,) = found(host).values()
        assert (instance["pid"], instance["running_user"]) == (70, "crowd")
        assert instance["home_source"] == "argument -Dcrowd.home of the running process"
        assert instance["cluster"]["id"].startswith("crowd-")
        assert (instance["cluster"]["node_id"], instance["cluster"]["shared_home"]) == (None, "/srv/crowd/shared")

    @pytest.mark.parametrize(
        ("context", "url"),
        [
            ("", "http://127.0.0.1:8095/crowd/status"),
            ('<Context path="" docBase="../../crowd-webapp"/>', "http://127.0.0.1:8095/status"),
            ('<Context path="${crowd.catalina.context.path}" docBase="../../crowd-webapp"/>', None),
        ],
    )
    def test_context_path(self, host: FakeHost, context: str, url: str | None) -> None:
        crowd(host, context)
        (instance,) = found(host).values()
        assert instance["status_url"] == url

    def test_shared_home_on_another_mount(self, host: FakeHost) -> None:
        crowd(host)
        host.path(f"{CROWD_HOME}/shared").rename(host.path("/crowd-shared"))
        host.link(f"{CROWD_HOME}/shared", "/crowd-shared")
        (instance,) = found(host).values()
        assert instance["shared_home_dir"] == "/crowd-shared"

    def test_version_of_the_other_jar(self, host: FakeHost) -> None:
        crowd(host)
        library = host.path(f"{CROWD}/crowd-webapp/WEB-INF/lib")
        (library / "crowd-core-7.1.4.jar").rename(library / "crowd-api-6.3.7.jar")
        (instance,) = found(host).values()
        assert instance["version"] == "6.3.7"


class TestManyProducts:
    @pytest.fixture
    def full(self, confluence: Confluence) -> FakeHost:
        host = confluence.host
        host.install()
        host.home()
        host.unit(content=JIRA_UNIT)
        crowd(host)
        host.write(f"{SYNCHRONY}/start-synchrony.sh", START_SYNCHRONY)
        host.unit("synchrony.service", f"[Service]\nUser=daemon\nExecStart={SYNCHRONY}/start-synchrony.sh\n")
        return host

    def test_each_is_found_once(self, full: FakeHost) -> None:
        instances = found(full)
        assert {name: item["install_dir"] for name, item in instances.items()} == {
            "confluence": CONFLUENCE,
            "confluence_synchrony": SYNCHRONY,
            "crowd": CROWD,
            "jira": JIRA_INSTALL,
        }
        assert full.discover()["unused_installs"] == []
        assert len({item["service_account"] for item in instances.values()}) == 4

    def test_each_path_belongs_to_one_walked_tree(self, full: FakeHost) -> None:
        trees = permission_trees(list(found(full).values()))
        walked = [tree for tree in trees if tree.get("trait_control")]
        assert len({tree["path"] for tree in walked}) == len(walked)
        for tree in trees:
            if tree.get("rules") and tree.get("path") and not tree.get("recurse", True):
                assert all(below(tree["path"], other["path"]) is None for other in walked)

    def test_declared_one_of_them(self, full: FakeHost) -> None:
        (instance,) = full.discover(declared=[{"product": "confluence_synchrony", "name": "live"}])["instances"]
        assert (instance["name"], instance["install_dir"]) == ("live", SYNCHRONY)


@pytest.mark.parametrize(
    ("product", "writable", "closed"),
    [
        ("confluence", f"{CONFLUENCE}/temp", f"{CONFLUENCE}/bin/user.sh"),
        ("crowd", f"{CROWD}/apache-tomcat/work", f"{CROWD}/crowd-webapp/WEB-INF/web.xml"),
    ],
)
def test_permissions_of_the_install_tree(confluence: Confluence, product: str, writable: str, closed: str) -> None:
    crowd(confluence.host)
    trees = permission_trees([found(confluence.host)[product]])

    def rule_of(path: str) -> dict[str, Any]:
        tree = next(item for item in trees if item.get("trait_control") and below(path, item["path"]) is not None)
        relative = below(path, tree["path"])
        rule: dict[str, Any] = next(item for item in tree["rules"] if {relative, "**"} & set(item["paths"]))
        return rule

    assert (rule_of(writable)["control"], rule_of(writable)["owner"]) == ("DC-DIR-02", [product])
    assert (rule_of(closed)["control"], rule_of(closed)["owner"]) == ("DC-DIR-01", ["root"])


def test_permissions_of_synchrony(confluence: Confluence) -> None:
    host = confluence.host
    host.write(f"{SYNCHRONY}/start-synchrony.sh", START_SYNCHRONY)
    host.unit("synchrony.service", f"[Service]\nUser=daemon\nExecStart={SYNCHRONY}/start-synchrony.sh\n")
    trees = permission_trees([found(host)["confluence_synchrony"]])
    walked = next(tree for tree in trees if tree.get("trait_control"))
    assert walked["path"] == SYNCHRONY
    rules = {path: rule for rule in walked["rules"] for path in rule["paths"]}
    assert rules["start-synchrony.sh"]["file_mode"] == "u+r,go-rwx"  # it has to stay executable
    assert rules["**"]["control"] == "DC-DIR-03"
    assert rules["**"]["owner"] == ["daemon"]
    absent = {tree["rules"][0]["control"] for tree in trees if tree.get("absent")}
    assert absent == {"DC-DIR-01", "DC-DIR-02"}
