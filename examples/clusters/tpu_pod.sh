#!/bin/bash
# Trains rows on all hosts of a Cloud TPU pod slice; run it from a machine that has gcloud.
#
#   examples/clusters/tpu_pod.sh MY_TPU us-central2-b /mnt/shared/flannb table1 --scale xl --source /mnt/shared/mirror
#
# The third argument is the project's folder, on a file system that all hosts of the slice mount.
set -euo pipefail

tpu=${1:?"name the TPU"}
zone=${2:?"name its zone"}
home=${3:?"name the project's folder on the hosts"}
artefact=${4:?"name what to train, such as table1, then options"}
shift 4

printf -v options ' %q' "$@"
printf -v home '%q' "$home"
# One host installs the packages; then all start the same command, and JAX finds the others.
gcloud compute tpus tpu-vm ssh "$tpu" --zone "$zone" --worker=0 \
    --command "cd $home && FLANNB_ACCELERATOR=tpu python3 -m nox -s environment"
gcloud compute tpus tpu-vm ssh "$tpu" --zone "$zone" --worker=all \
    --command "cd $home && .nox/environment/bin/python -m flannb.experiments train --artefact $artefact --plain --workers 1$options"
