#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_permissions
short_description: Judge and correct owner, group, mode and access lists of whole trees
version_added: 0.1.0
description:
  - Walks each tree once, whatever the number of rules, and judges every file and folder by the first rule that matches
    its place.
  - Only what differs from its rule is changed, and only where the rule's control may be put right.
  - Symbolic links are never followed and not judged. Other file systems and network mounts are left out unless asked
    for; what was left out is named in the findings.
  - Folders are opened by descriptor and objects are changed through a descriptor of the object that was judged, so the
    walk is safe on trees that somebody else can write to. Files that vanish meanwhile are passed over.
  - A regular file with several hard links that does not belong to the service account is never changed, because it may
    be a file of the system that somebody linked into the tree. It is reported.
  - Where even root may not look (mounts that squash root, FUSE mounts of the service account), the walk goes on as the
    service account, in a process of its own. What that may not look at is not looked at, what it may not change stays
    failed; both with the reason.
  - A path that the system refuses to change (immutable, read-only file system) leaves its control failed with the
    system's reason. The other paths are put right and the task does not fail.
  - It does fail where the disk is full or broken. From then on nothing more is changed, and the rest is only judged.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.record
options:
  trees:
    description:
      - Trees to look at, made by the filter P(atlassian_dc.hardening.permission_trees#filter) from what discovery
        found.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Absolute path of the tree, symbolic links resolved.
          - Without it the controls of its rules are C(not_checked), because the place is not known.
        type: str
      name:
        description: What the tree is called in reports, such as V(install tree).
        type: str
        default: tree
      instance:
        description: Name of the product instance the findings are for.
        type: str
      service_account:
        description: Account the product runs as.
        type: str
      service_group:
        description: Its group.
        type: str
      rules:
        description:
          - What the objects of the tree should be. The first rule that matches wins, so the most specific ones come
            first.
          - Objects no rule matches are judged for traits only.
        type: list
        elements: dict
        default: []
        suboptions:
          control:
            description: Id of the control the rule belongs to.
            type: str
            required: true
          paths:
            description:
              - Patterns relative to the tree. C(*), C(?) and C([...]) match within a name, C(**) any number of folders,
                V(.) is the root of the tree itself, V(logs/**) everything below C(logs) without C(logs).
              - Everything, the root included, when unset.
            type: list
            elements: str
          except:
            description: Patterns the rule does not apply to; the next rule may.
            type: list
            elements: str
          owner:
            description:
              - Users, by name or number, of which any is right. The first is set where none is.
              - Not judged when unset.
            type: list
            elements: str
          group:
            description:
              - Groups, by name or number, of which any is right. The first is set where none is.
              - Not judged when unset.
            type: list
            elements: str
          directory_mode:
            description:
              - Symbolic mode that changes nothing when applied to a folder that is right, such as V(u+rwX,g-w,o-rwx).
                Modes stricter than the expression are left alone, bits it adds must be there.
              - Not judged when unset.
            type: str
          file_mode:
            description:
              - The same for everything that is not a folder.
              - Not judged when unset.
            type: str
          readable_by_service:
            description:
              - The service account must be able to read the object, and to enter or run it. Through its group where the
                object belongs to that, else as anybody.
            type: bool
            default: false
          closed_to_service:
            description:
              - The service account must not be able to write the object. It neither owns it nor may write through its
                group, as anybody (folders with the sticky bit apart) or by an access list. Other accounts keep what
                they have, and owners, groups and modes of the rule are not looked at.
            type: bool
            default: false
            version_added: 0.2.0
          readers:
            description: Whether O(trees[].readers) declared without paths count here.
            type: bool
            default: true
      trait_control:
        description:
          - Id of the control that no object may be writable by everybody (folders with the sticky bit included), setuid
            or setgid (setgid on a folder is harmless and left alone), owned by a user or group that does not exist, a
            device node, or carry file capabilities.
          - Capabilities that hold nothing but C(cap_net_bind_service) are reported and left, because a product may need
            them at its next start. Device nodes are reported and left.
          - Not judged when unset.
        type: str
      archives:
        description: Names of files that should not be in the tree. They are only reported.
        type: list
        elements: dict
        default: []
        suboptions:
          control:
            description: Id of the control.
            type: str
            required: true
          paths:
            description: Patterns relative to the tree.
            type: list
            elements: str
            required: true
          except:
            description: Patterns that do not count.
            type: list
            elements: str
      readers:
        description:
          - Users and groups that keep read access, and access to folders, that they have through the group or the
            access list of an object. Nothing is granted to them.
        type: list
        elements: dict
        default: []
        suboptions:
          user:
            description: Name or number of a user.
            type: str
          group:
            description: Name or number of a group.
            type: str
          paths:
            description:
              - Patterns relative to the tree.
              - Everything but the objects of rules with O(trees[].rules[].readers=false) when unset.
            type: list
            elements: str
      exceptions:
        description: Places that are neither judged nor entered.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Pattern relative to the tree.
            type: str
            required: true
          reason:
            description: Why.
            type: str
            required: true
      links:
        description:
          - Patterns of places where a symbolic link that leads out of all trees is named as not looked at.
        type: list
        elements: str
        default: []
      hold:
        description: Reason to change nothing in the tree until the product was restarted. Violations are then pending.
        type: str
      cross_file_systems:
        description: Also enter other file systems below the tree, and look at trees on network file systems.
        type: bool
        default: false
      recurse:
        description: Enter the folders of the tree.
        type: bool
        default: true
      required:
        description: Whether a tree that does not exist makes its controls C(not_checked).
        type: bool
        default: true
      absent:
        description:
          - Why the instance has no such tree by its nature. The controls of its rules are C(not_applicable) for that
            reason, unless another tree of the instance violates them.
        type: str
        version_added: 0.2.0
      elsewhere:
        description:
          - Name of the host that judges the tree for this one, such as the shared home of a cluster.
          - It is not looked at here. Findings of the controls of its rules say so (C(elsewhere) of RV(dc_findings)).
        type: str
        version_added: 0.2.0
  listed_changes:
    description:
      - Most changes listed one by one in RV(dc_changes). All are counted. The diff shows the first 50 of each control
        and tree.
    type: int
    default: 200
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Correct the trees of all instances found on the host
  atlassian_dc.hardening.tree_permissions:
    trees: "{{ ansible_facts.atlassian_dc.instances | atlassian_dc.hardening.permission_trees }}"
  tags: [DC-DIR-01, DC-DIR-02, DC-DIR-03, DC-DIR-04, DC-DIR-05, DC-DIR-06, DC-LOG-04]

- name: Close one folder to other accounts
  atlassian_dc.hardening.tree_permissions:
    trees:
      - path: /var/atlassian/application-data/jira
        name: home
        instance: jira
        service_account: jira
        service_group: jira
        rules:
          - control: DC-DIR-04
            paths: [dbconfig.xml]
            owner: [jira]
            group: [jira]
            file_mode: u+r,a-x,go-rwx
          - control: DC-DIR-03
            owner: [jira]
            group: [jira]
            directory_mode: u+rwX,g-w,o-rwx
            file_mode: u+rwX,g-w,o-rwx
"""

RETURN = r"""
dc_findings:
  description:
    - One finding per control and instance. C(elsewhere) is the host that judges a part of it, where there is one.
  returned: always
  type: list
  elements: dict
  sample:
    - control: DC-DIR-01
      instance: jira
      status: fail
      reason: 41 paths under the install tree are writable by jira
      evidence:
        - what: /opt/atlassian/jira/bin/setenv.sh
          expected: root:jira 0755
          actual: jira:jira 0755
      pending: null
dc_changes:
  description: The first changes, at most O(listed_changes).
  returned: always
  type: list
  elements: dict
  sample:
    - target: /opt/atlassian/jira/bin/setenv.sh
      attribute: permissions
      before: 998:998 0755
      after: 0:998 0755
change_count:
  description: Number of all changes.
  returned: always
  type: int
  sample: 41
statistics:
  description: How many objects were looked at, changed and passed over by an exception, per tree.
  returned: always
  type: list
  elements: dict
  sample:
    - instance: jira
      name: install tree
      path: /opt/atlassian/jira
      entries: 9216
      changed: 41
      excepted: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import CONTROL_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import PolicyError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import check_trees
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS

RULE = {
    "control": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str"},
    "except": {"type": "list", "elements": "str"},
    "owner": {"type": "list", "elements": "str"},
    "group": {"type": "list", "elements": "str"},
    "directory_mode": {"type": "str"},
    "file_mode": {"type": "str"},
    "readable_by_service": {"type": "bool", "default": False},
    "closed_to_service": {"type": "bool", "default": False},
    "readers": {"type": "bool", "default": True},
}
ARCHIVE = {
    "control": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    "except": {"type": "list", "elements": "str"},
}
READER = {
    "user": {"type": "str"},
    "group": {"type": "str"},
    "paths": {"type": "list", "elements": "str"},
}
EXCEPTION = {
    "path": {"type": "str", "required": True},
    "reason": {"type": "str", "required": True},
}
TREE = {
    "path": {"type": "str"},
    "name": {"type": "str", "default": "tree"},
    "instance": {"type": "str"},
    "service_account": {"type": "str"},
    "service_group": {"type": "str"},
    "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
    "trait_control": {"type": "str"},
    "archives": {"type": "list", "elements": "dict", "default": [], "options": ARCHIVE},
    "readers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": READER,
        "required_one_of": [("user", "group")],
        "mutually_exclusive": [("user", "group")],
    },
    "exceptions": {"type": "list", "elements": "dict", "default": [], "options": EXCEPTION},
    "links": {"type": "list", "elements": "str", "default": []},
    "hold": {"type": "str"},
    "cross_file_systems": {"type": "bool", "default": False},
    "recurse": {"type": "bool", "default": True},
    "required": {"type": "bool", "default": True},
    "absent": {"type": "str"},
    "elsewhere": {"type": "str"},
}


def main() -> None:
    """Judge the trees."""
    module = AnsibleModule(
        argument_spec={
            "trees": {"type": "list", "elements": "dict", "required": True, "options": TREE},
            "listed_changes": {"type": "int", "default": 200},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    trees = module.params["trees"]
    listed = module.params["listed_changes"]
    if listed < 0:
        module.fail_json(msg=f"listed_changes must be 0 or more, not {listed}")
    for tree in trees:
        if tree["path"] and not tree["path"].startswith("/"):
            module.fail_json(msg=f"the path of the {tree['name']} must be absolute, not {tree['path']!r}")
    changes = Changes.of(module, listed)
    try:
        result = check_trees(module.params, changes)
    except PolicyError as exc:
        module.fail_json(msg=str(exc))
    changes.exit(module, **result)


if __name__ == "__main__":
    main()
