# SPDX-License-Identifier: Apache-2.0
"""A private OVN on one machine: processes, packets and namespaces for the tests and the demo."""
