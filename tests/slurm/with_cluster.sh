#!/bin/bash
# Run a command beside a SLURM of its own: with_cluster.sh COMMAND [ARGUMENT ...]
#
# One node that claims what a node of Leonardo has (32 cores, 494 GB, four GPUs, which are not real), with accounting, in
# a network namespace that has no way out. Everything lies in a temporary folder; nothing below /etc is touched.
# Debian's packages: slurm-wlm slurmdbd munge mariadb-server iproute2. Where it cannot be had, the command runs without,
# and WITHOUT_SLURM says why.
set -u

without() {
    echo "with_cluster.sh: no SLURM: $1" >&2
    export WITHOUT_SLURM=$1
    exec "${@:2}"
}

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" = 0 ] || without "its daemons have to be started by root" "$@"
    for program in slurmctld slurmd slurmdbd munged mariadbd ip unshare; do
        PATH=$PATH:/usr/sbin command -v $program >/dev/null || without "$program is not installed" "$@"
    done
    unshare --net true 2>/dev/null || without "no network namespace can be made" "$@"
    exec unshare --net "$0" --inside "$@"
fi

shift
PATH=$PATH:/usr/sbin
folder=$(mktemp -d /tmp/slurm.XXXXXX)
host=$(hostname -s)
ip link set lo up
ip address add 10.123.0.1/32 dev lo # slurmdbd does not take a host that has only 127.0.0.1
chmod 711 "$folder"
mkdir "$folder"/{munge,state,spool,gpus,database}
for number in 0 1 2 3; do mknod "$folder/gpus/nvidia$number" c 1 3; done # each a /dev/null

stop() {
    scancel --user=root 2>/dev/null
    for _ in $(seq 100); do [ -z "$(squeue --noheader 2>/dev/null)" ] && break; sleep 0.2; done
    for name in slurmd slurmctld slurmdbd database munge/munged; do
        [ -s "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null
    done
    wait
    for _ in $(seq 50); do rm -rf "$folder" 2>/dev/null && break; sleep 0.2; done
}
trap stop EXIT

wait_for() { # a command to succeed
    for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
    echo "with_cluster.sh: $* did not succeed; logs are in $folder" >&2
    trap - EXIT
    exit 1
}

dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 400 "$folder/munge/key"
chmod 711 "$folder/munge"
munge=$folder/munge/munge.sock
munged --force --key-file="$folder/munge/key" --socket="$munge" --pid-file="$folder/munge/munged.pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --num-threads=2 >"$folder/munged.out" 2>&1

cat >"$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$munge,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=10
MinJobAge=600
MaxArraySize=101
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=26819
AccountingStoragePass=$munge
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
EnforcePartLimits=ALL
NodeName=$host NodeAddr=127.0.0.1 CPUs=32 RealMemory=494000 Gres=gpu:a100:4 State=UNKNOWN
PartitionName=boost_usr_prod Nodes=$host Default=YES DefaultTime=00:30:00 MaxTime=24:00:00 State=UP
PartitionName=lrd_all_serial Nodes=$host MaxTime=04:00:00 State=UP
END
echo "NodeName=$host Name=gpu Type=a100 File=$folder/gpus/nvidia[0-3]" >"$folder/gres.conf"
echo "CgroupAutomount=no" >"$folder/cgroup.conf"
cat >"$folder/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=26819
CommunicationParameters=NoCtldInAddrAny
SlurmUser=root
LogFile=$folder/slurmdbd.log
PidFile=$folder/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=secret
StorageLoc=accounts
END
chmod 600 "$folder/slurmdbd.conf"
export SLURM_CONF=$folder/slurm.conf

chown mysql:mysql "$folder/database"
socket=$folder/database/socket
mariadb-install-db --user=mysql --datadir="$folder/database/data" --auth-root-authentication-method=socket \
    --skip-test-db >"$folder/database.out" 2>&1
runuser -u mysql -- mariadbd --no-defaults --datadir="$folder/database/data" --socket="$socket" --skip-networking \
    --pid-file="$folder/database/pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
    >>"$folder/database.out" 2>&1 </dev/null &
echo $! >"$folder/database.pid"
wait_for mariadb-admin --no-defaults --socket="$socket" ping
mariadb --no-defaults --socket="$socket" --execute="create user slurm@localhost identified by 'secret';
    create database accounts; grant all on accounts.* to slurm@localhost;"
MYSQL_UNIX_PORT=$socket slurmdbd -D >"$folder/slurmdbd.out" 2>&1 </dev/null &
wait_for sacctmgr --noheader show cluster
slurmctld -f "$SLURM_CONF" >"$folder/slurmctld.out" 2>&1
gpus_are_known() { sacctmgr -nP show tres format=type,name | grep -q 'gres|gpu'; }
wait_for gpus_are_known
{
    sacctmgr -i add qos boost_qos_dbg set priority=80 MaxWall=00:30:00 MaxTRESPerJob=node=2
    sacctmgr -i add qos boost_qos_lprod set priority=40 MaxWall=4-00:00:00 Flags=PartitionTimeLimit
    sacctmgr -i add account MYACC Cluster=test
    sacctmgr -i add user root Account=MYACC DefaultAccount=MYACC
    sacctmgr -i modify user root where account=MYACC set qos=normal,boost_qos_dbg,boost_qos_lprod
} >"$folder/sacctmgr.out" 2>&1
slurmd -f "$SLURM_CONF" >"$folder/slurmd.out" 2>&1
node_is_idle() { sinfo --noheader --format=%T | grep -q idle; }
wait_for node_is_idle
"$@"
