# stall.sh: the time of a command on one big value while that value is saved. Trivet alone: in a server that forks, all
# commands wait together, which the section `snapshot` shows. Sourced by bench/run.

stall=$programs/snapshot_stall
need "$stall"
start trivet 0,1 1
"$stall" "$work/trivet/socket" "$stall_elements"
