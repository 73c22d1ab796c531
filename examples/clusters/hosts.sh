#!/bin/bash
# Starts this host's part of a training by several hosts that no batch system manages: the same line on each of them.
#
#   examples/clusters/hosts.sh FIRST_HOST NUMBER_OF_HOSTS NUMBER_OF_THIS_HOST table1 --scale xl --source /data/mirror
#
# Hosts count from 0, and the first is number 0. All share the project's folder. A process uses all GPUs of its host.
set -euo pipefail

first=${1:?"name the first host"}
hosts=${2:?"say how many hosts there are"}
number=${3:?"say which one this is, from 0"}
artefact=${4:?"name what to train, such as table1, then options"}
shift 4
cd "${FLANNB_HOME:-$PWD}"
python=${FLANNB_PYTHON:-.nox/environment/bin/python}

export JAX_COORDINATOR_ADDRESS=$first:${FLANNB_PORT:-8476} JAX_NUM_PROCESSES=$hosts JAX_PROCESS_ID=$number
exec "$python" -m flannb.experiments train --artefact "$artefact" --plain --workers 1 "$@"
