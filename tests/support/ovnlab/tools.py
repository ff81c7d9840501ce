# SPDX-License-Identifier: Apache-2.0
"""Where the programs of this project are: given, from the environment, or beside the source."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def find_program(name, given=None):
    """Path of sluiced, sluicectl, ...: `given`, else $SLUICE_BUILD, else ./build of the source."""
    if given:
        if not os.access(given, os.X_OK):
            raise SystemExit('%s: no such program; build it or give its path' % given)
        return os.path.abspath(given)
    builds = [os.environ['SLUICE_BUILD']] if os.environ.get('SLUICE_BUILD') else [ROOT + '/build']
    for build in builds:
        path = '%s/tools/%s/%s' % (os.path.abspath(build), name, name)
        if os.access(path, os.X_OK):
            return path
    raise SystemExit('no %s in %s: run "meson setup build && ninja -C build", or set SLUICE_BUILD'
                     % (name, builds[0]))
