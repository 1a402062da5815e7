# What the job files share: slurm/common.sh.

root=@root@ # of the checkout
python=@python@ # interpreter of the runs
folder=@folder@ # of this launch: rows.tsv, ended/, links/, stopped/, logs/, jobs, stop
restart=@restart@ # what follows when the time ends before the runs do: requeue or chain
max_restarts=@max_restarts@

cd "$root" || exit 1
if command -v module >/dev/null; then module load @modules@ || exit 1; fi
export @environment@
export WCONV_SWEEP=@sweep@
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # srun does not take it from the job
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}

task=${SLURM_ARRAY_TASK_ID:-0}
job=$SLURM_JOB_ID
[ -n "${SLURM_ARRAY_JOB_ID:-}" ] && job=${SLURM_ARRAY_JOB_ID}_$task
ended=$folder/ended/$task # rows that are over, which a restart leaves out
touch "$ended" || exit 1
[ -n "${WCONV_LINK:-}" ] && [ -e "$folder/stopped/$task" ] && exit # somebody has stopped this task in an earlier link

ending= # SIGUSR1 has come: the time of the job ends, the runs save and leave with 75
stopped= # SIGTERM has come: somebody wants the job to end, and to stay ended
again= # there is something left to do
failed= # some run has failed; the others go on
declare -A row_of=() # of each process at work

# shellcheck disable=SC2317 # the traps call it
pass_on() {
    local process
    for process in "${!row_of[@]}"; do kill -s "$1" "$process" 2>/dev/null; done
}
trap 'ending=1; pass_on USR1' USR1
trap 'stopped=1; mkdir -p "$folder/stopped"; touch "$folder/stopped/$task"; pass_on TERM' TERM

collect() { # see which runs are over, and how
    local process code
    for process in "${!row_of[@]}"; do
        kill -0 "$process" 2>/dev/null && continue
        wait "$process"
        code=$?
        if [ $code = 75 ] || { [ $code -gt 128 ] && [ -n "$ending$stopped" ]; }; then
            again=1
        else
            echo "${row_of[$process]} $code" >>"$ended"
            [ $code = 0 ] || failed=1
        fi
        unset "row_of[$process]"
    done
}

run_rows() { # start the rows of this task, at most $1 at a time, and wait for all of them
    local row directory arguments words
    while IFS=$'\t' read -r row directory arguments; do
        grep -q "^$row " "$ended" && continue
        while [ ${#row_of[@]} -ge "$1" ]; do sleep 1; collect; done
        if [ -n "$ending$stopped" ]; then again=1; break; fi
        eval "words=($arguments)" # they are quoted for a shell
        run "$folder/logs/$(basename "$directory").log" "${words[@]}" &
        row_of[$!]=$row
    done < <(awk -F'\t' -v OFS='\t' -v task="$task" '$1 == task { print NR - 1, $2, $3 }' "$folder/rows.tsv")
    while [ ${#row_of[@]} -gt 0 ]; do sleep 1; collect; done
}

go_on() { # see to it that what is left is done, unless somebody wants it to stop
    [ -n "$again" ] && [ -z "$stopped" ] && [ ! -e "$folder/stop" ] || return 0
    if [ "${WCONV_LINK:-${SLURM_RESTART_COUNT:-0}}" -ge "$max_restarts" ]; then
        echo "cluster.max_restarts=$max_restarts: the job ends here, with runs left that can go on"
        return
    fi
    trap '' TERM # a requeue ends this script, too
    if [ "$restart" = requeue ]; then
        scontrol requeue "$job" && return
        echo "cluster.restart=requeue was refused: another job is chained behind this one instead"
    fi
    chain
}

# One further array takes what all tasks of this one have left, so that cluster.max_running holds for it as well: the
# first task with runs left submits it, and it begins when all tasks have ended.
chain() {
    local link=$folder/links/$((${WCONV_LINK:-0} + 1)) try
    mkdir -p "$folder/links"
    mkdir "$link" 2>/dev/null || return 0 # another task has
    for try in 1 2 3 4 5; do
        [ "$try" = 1 ] || sleep 10
        (
            for name in $(compgen -e); do # a job would inherit what this one was given
                case $name in SLURM_CONF) ;; SLURM* | SBATCH* | SRUN* | PMI*) unset "$name" ;; esac
            done
            export WCONV_LINK=${link##*/}
            sbatch --parsable --dependency="afterany:${job%_*}" "$folder/job.sbatch" >>"$folder/jobs"
        ) && return
    done
    rmdir "$link" # another task may have more luck
    echo "no job could be chained behind this one: sweep.py --submit resumes what is left"
    failed=1
}
