#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_info
short_description: Find installed Atlassian Data Center products and how each is set up
version_added: 0.1.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Finds the products of a host from running processes, systemd units, init scripts and known places, with no
    variable set.
  - Returns where each is installed, its version, home, unit, accounts, ports, cluster membership and JVM arguments. All
    other modules and roles of the collection read only this.
  - Only reads. Files of the products are parsed, never executed, and their XML is refused when it declares entities.
  - Needs to run as root to see the processes and configuration of other accounts.
options:
  instances:
    description:
      - Products of this host as the administrator knows them. When set, only these are looked at, and what is left out
        here is filled in from what is found.
      - A declared instance that is not on the host is left out and named in RV(ansible_facts.atlassian_dc.problems).
      - Leave it unset to find the products. An empty list says that there is none.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the instance in reports. The product's name by default.
        type: str
      product:
        description: The product, such as V(jira), or a service that is part of one.
        type: str
        required: true
      install_dir:
        description: Absolute path of the installation; a symbolic link may lead to it.
        type: str
      home_dir:
        description: Absolute path of the home directory.
        type: str
      shared_home_dir:
        description: Absolute path of the shared home directory of a cluster.
        type: str
      unit:
        description: The systemd unit that starts the product, with or without C(.service).
        type: str
      service_account:
        description: Account the product is to run as. Never root.
        type: str
      service_group:
        description: Group the product is to run as. The primary group of the account by default.
        type: str
      groups:
        description:
          - Names of the groups its account may be a member of besides its own, such as V(docker) for a build agent. An
            empty list says that it needs none.
        type: list
        elements: str
        version_added: 0.2.0
      url:
        description: Address at which the product is asked over REST. Its own port on the host by default.
        type: str
        version_added: 0.5.0
  products:
    description:
      - What is known of each product; filled in from the collection's product data.
      - There is no need to set it in a task.
    type: list
    elements: dict
  platforms:
    description:
      - The supported operating systems; filled in from the collection's own list.
      - There is no need to set it in a task.
    type: list
    elements: dict
    version_added: 0.2.0
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.attributes.info_module
notes:
  - Products in containers are not looked at.
seealso:
  - name: Product data
    description: Where the knowledge about products lies and how to add to it.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/product-data.md
"""

EXAMPLES = r"""
- name: Find the installed products
  atlassian_dc.hardening.product_info:

- name: Show what was found
  ansible.builtin.debug:
    var: ansible_facts.atlassian_dc.instances

- name: Look at one product in an unusual place only
  atlassian_dc.hardening.product_info:
    instances:
      - name: tickets
        product: jira
        install_dir: /srv/jira/current
        service_account: jira
"""

RETURN = r"""
ansible_facts:
  description: Facts that later tasks read.
  returned: always
  type: dict
  contains:
    atlassian_dc:
      description: What was found on this host.
      type: dict
      contains:
        instances:
          description: Every product found, sorted by name; the same list as RV(dc_instances).
          type: list
          elements: dict
        platform:
          description:
            - The host's operating system as its C(os-release) tells it; what that does not tell is null.
          type: dict
          contains:
            id:
              description: Name of the operating system.
              type: str
              sample: debian
            version:
              description: Its version.
              type: str
              sample: "12"
            family:
              description: Family whose names of packages, services and paths it has, V(debian) or V(redhat).
              type: str
              sample: debian
            title:
              description: Name and version for people.
              type: str
              sample: Debian GNU/Linux 12 (bookworm)
            supported:
              description: Whether the collection supports it.
              type: bool
        unused_installs:
          description:
            - Installations that nothing starts while another one of the same product is in use, as upgrades leave them.
          type: list
          elements: dict
          sample: [{product: jira, install_dir: /opt/atlassian/jira-9.12.0}]
        searched:
          description: Where products were looked for.
          type: list
          elements: str
          sample: [running processes, /etc/systemd/system, /etc/init.d, /opt/atlassian/jira]
        problems:
          description: What could not be read or belongs to no instance.
          type: list
          elements: dict
          sample: [{path: /etc/default/jira, message: is not a regular file}]
dc_instances:
  description:
    - Every product found, sorted by name. A value that cannot be known is null; an empty one says that the product has
      none.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description:
        - Report name; the declared one, else the product, with the unit's name appended when a product occurs twice.
      type: str
    product:
      description: The product.
      type: str
    part_of:
      description: The product of which this one is a service of its own.
      type: str
    version:
      description: Its version.
      type: str
    version_source:
      description: File the version was read from.
      type: str
    install_dir:
      description: The installation, symbolic links resolved.
      type: str
    install_link:
      description: The installation as configured, when that is a symbolic link.
      type: str
    home_dir:
      description: The home directory, symbolic links resolved.
      type: str
    home_source:
      description: Where the home directory was found, in words.
      type: str
    shared_home_dir:
      description: The shared home directory, of a cluster or below the home.
      type: str
    shared_home_id:
      description:
        - Number of the shared home in its file system, the same on all nodes that mount it. Null where it lies on the
          root file system of the host, and so is no common one.
      type: int
    unit:
      description: The systemd unit that starts it, one generated from an init script included.
      type: str
    unit_path:
      description: File of the unit.
      type: str
    init_script:
      description: The SysV script that starts it, when there is no native unit.
      type: str
    stopped_by_run:
      description: Whether a run has stopped it to restart it and has not seen it run again.
      type: bool
    running:
      description: Whether it runs.
      type: bool
    pid:
      description: Number of the main JVM.
      type: int
    started:
      description: When the main JVM was started, in seconds since 1970.
      type: float
    running_user:
      description: Account it runs as.
      type: str
    running_uid:
      description: Number of the account it runs as.
      type: int
    unit_user:
      description: Effective C(User=) of the unit, V(root) when unset.
      type: str
    user_file:
      description: The product's file that names the account, when it exists.
      type: str
    user_file_user:
      description: The account named there.
      type: str
    service_account:
      description: Account it should run as; never root. It may not exist yet.
      type: str
    service_group:
      description: Group it should run as.
      type: str
    service_account_source:
      description: Where the account comes from, in words.
      type: str
    http_port:
      description: Port of the first plain HTTP connector, else of the first HTTPS connector.
      type: int
    context_path:
      description: Path below which the product answers, without a slash at its end.
      type: str
    status_url:
      description: URL of the status page as seen from the host itself.
      type: str
    status_key:
      description: Key of the status page's answer that holds the state.
      type: str
    up_states:
      description: States of the status page that end a start.
      type: list
      elements: str
      sample: [RUNNING, FIRST_RUN]
    shutdown_port:
      description: Tomcat's shutdown port; V(-1) when closed; also one of C(ports).
      type: int
    connectors:
      description: Tomcat's connectors.
      type: list
      elements: dict
      sample:
        - port: 8080
          protocol: HTTP/1.1
          address: null
          secure: null
          scheme: null
          proxy_name: null
          proxy_port: null
          ssl: false
    ports:
      description:
        - Ports of the product and who may reach them, as they are configured; null when nobody knows its ports.
        - What listens is told by the host, not here.
      type: list
      elements: dict
      contains:
        name:
          description: What listens there; V(http), V(https) and V(ajp) for each connector of the web server.
          type: str
        port:
          description: Its number; null where there is none or it cannot be known; C(note) says why.
          type: int
        protocol:
          description: V(tcp) or V(udp).
          type: str
        from:
          description:
            - Who may reach it. V(proxy), the reverse proxies; V(peers), the other nodes; V(agents), the agents of a
              server; V(users), whoever uses the product; V(local), only the host itself; V(nobody).
          type: str
        address:
          description: Address it is bound to by its configuration; null for all of them.
          type: str
        value_from:
          description:
            - File that says so, as product data names it, V(JVM arguments) or V(default).
            - Null where nothing does.
          type: str
        clustered_only:
          description: Whether only nodes of a cluster open it.
          type: bool
        open:
          description: Whether it is opened when the product runs; null where that cannot be known.
          type: bool
        note:
          description: Why the port is not known.
          type: str
      sample:
        - name: http
          port: 8080
          protocol: tcp
          from: proxy
          address: 127.0.0.1
          value_from: conf/server.xml
          clustered_only: false
          open: true
          note: null
    jvm_arguments:
      description:
        - Arguments of the running JVM, else those of the next start, in their order.
        - Values that look like secrets are replaced by V(********).
      type: list
      elements: str
    start_files:
      description: Files that bring the arguments of the next start. They need not exist.
      type: list
      elements: str
    start_jvm_arguments:
      description: Arguments the next start would bring, as far as they can be told without running the start script.
      type: list
      elements: str
    cluster:
      description: Membership in a cluster; null for a single node. Its C(id) is the same on all nodes of the cluster.
      type: dict
      sample: {id: jira-3f2a9c0d1e4b, node_id: node1, shared_home: /mnt/jira-shared}
    companions:
      description:
        - Processes that belong to the product beside its main one, such as Confluence's own Synchrony. They run from
          its install tree or are started by it.
      type: list
      elements: dict
      sample: [{name: synchrony, pid: 1420, running_user: confluence, running_uid: 998, unit: confluence.service}]
    needed_groups:
      description:
        - Groups that accounts of this product often need for their work. They are not taken away, and no violation once
          declared.
      type: list
      elements: str
    declared_groups:
      description: Groups declared for its account; null when nothing is declared.
      type: list
      elements: str
    url:
      description: Declared address at which it is asked over REST; null when nothing is declared.
      type: str
    sandbox:
      description: Directives of the sandbox that its work needs otherwise than a server's does; null leaves one out.
      type: dict
      sample: {PrivateTmp: "no"}
    scratch_dirs:
      description: Folders of the homes in which builds work. What lies in them is theirs.
      type: list
      elements: str
    working_dirs:
      description: Folders of the install tree the product may write. They need not exist.
      type: list
      elements: str
    secret_files:
      description: Files that hold secrets; shell patterns are possible, and the files need not exist.
      type: list
      elements: dict
      sample: [{path: /var/atlassian/application-data/jira/dbconfig.xml, tree: home}]
    log_dirs:
      description: Folders of its logs.
      type: list
      elements: str
    web_root:
      description: Folder the web application is served from; empty for a service without one.
      type: str
    archive_dirs:
      description: Folders in which no backup archive may be left.
      type: list
      elements: str
    archive_names:
      description: Names of the product's backup archives there, as shell patterns.
      type: list
      elements: str
    code_dirs:
      description: Folders of the homes that hold code the product loads.
      type: list
      elements: str
    problems:
      description: What could not be found out, and why.
      type: list
      elements: dict
      sample: [{path: /opt/atlassian/jira/conf/server.xml, message: "line 12: not well-formed XML (no element found)"}]
message:
  description: What was found, in one line.
  returned: always
  type: str
  sample: "Found jira: Jira 10.3.15 in /opt/atlassian/jira, running as root."
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery import DeclarationError, discover
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import Host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._platform import read_platform

SYSTEMCTL_SECONDS = 20
TIMED_OUT = 124  # exit code of timeout(1)

INSTANCE_OPTIONS: dict = {
    "name": {"type": "str"},
    "product": {"type": "str", "required": True},
    "install_dir": {"type": "str"},
    "home_dir": {"type": "str"},
    "shared_home_dir": {"type": "str"},
    "unit": {"type": "str"},
    "service_account": {"type": "str"},
    "service_group": {"type": "str"},
    "groups": {"type": "list", "elements": "str"},
    "url": {"type": "str"},
}


def run_command(module: AnsibleModule, argv: list[str]) -> str:
    """Run a command that only reads and return what it prints; raise OSError when that fails or takes too long."""
    code, out, err = module.run_command(
        ["timeout", str(SYSTEMCTL_SECONDS), *argv],
        environ_update={"LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""},
        errors="replace",
        expand_user_and_vars=False,
        handle_exceptions=False,
    )
    if code == TIMED_OUT:
        raise OSError(f"no answer within {SYSTEMCTL_SECONDS} seconds")
    if code != 0:
        raise OSError(err.strip()[:500] or f"exit code {code}")
    return out


def main() -> None:
    """Look at the host and return what was found."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "options": INSTANCE_OPTIONS},
            "products": {"type": "list", "elements": "dict"},
            "platforms": {"type": "list", "elements": "dict"},
        },
        supports_check_mode=True,
    )
    for name in ("products", "platforms"):
        if not module.params[name]:
            module.fail_json(
                msg=f"{name} is empty: call the module by its full name, atlassian_dc.hardening.product_info, so that "
                "the collection's data is added to its arguments"
            )
    run = partial(run_command, module)
    try:
        found = discover(module.params["products"], declared=module.params["instances"], run=run)
    except DeclarationError as exc:
        module.fail_json(msg=f"atlassian_dc_instances: {exc}")
    found["platform"], problems = read_platform(Host(), module.params["platforms"])
    found["problems"] = problems + found["problems"]
    message = found.pop("message")
    module.exit_json(
        changed=False, ansible_facts={"atlassian_dc": found}, dc_instances=found["instances"], message=message
    )


if __name__ == "__main__":
    main()
