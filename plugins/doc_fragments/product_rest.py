# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that asks products over REST."""

    DOCUMENTATION = r"""
options:
  credentials:
    description:
      - How to log in to the products. A mapping of names to entries, as in C(atlassian_dc_credentials), is taken too.
      - What a mapping does not name is looked for in the environment of the controller, as E(ATLASSIAN_DC_JIRA_TOKEN).
      - The token of an entry comes first. A login that is refused is not tried again.
      - What is empty is unset, as a lookup of an environment variable that is not there gives it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the instance, or of the product for all its instances.
        type: str
        required: true
      token:
        description: Personal access token of a system administrator.
        type: str
      username:
        description: Name of a system administrator, where there is no token.
        type: str
      password:
        description: The password that goes with it.
        type: str
  databases:
    description:
      - Accounts that may read the databases of the products, for settings that no product tells over REST. A mapping of
        names to entries is taken too.
      - Only PostgreSQL, with C(psql) on the host. The session is read-only.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the instance, or of the product for all its instances.
        type: str
        required: true
      username:
        description: Name of the account.
        type: str
        required: true
      password:
        description: Its password.
        type: str
        required: true
  rejected:
    description:
      - Names of instances that have refused their login before in this run, as this module returns them.
      - They are not asked again, for the account would be locked.
    type: list
    elements: str
    default: []
  ca_file:
    description:
      - File with certificates of authorities that are accepted beside those of the host. It lies where the module runs.
      - Certificates are always verified.
    type: path
  timeout:
    description: Seconds that one answer may take.
    type: int
    default: 10
  products:
    description:
      - What is known of the settings of each product.
      - Filled in from the product data of the collection.
    type: dict
notes:
  - Asks the address that O(instances) declares as C(url), else the product's own port on the host itself. Redirects are
    not followed.
"""
