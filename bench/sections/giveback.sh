# giveback.sh: what memory a server still holds when nine of ten keys were deleted at random, against one that was loaded
# with the rest; and how late answers are while it gives memory back. Trivet runs as it comes (activedefrag no);
# redis-server is asked for activedefrag yes, which a build without its own jemalloc refuses.

giveback_wait=$((60 * seconds))

# The same keys each time. WHICH: `kept` or `gone`.
share_of_keys() { # WHICH
    awk -v count="$snapshot_keys" -v which="$1" 'BEGIN {
        srand(7)
        for (i = 0; i < count; i++) {
            kept = rand() < 0.1
            if (which == "kept" && kept)
                printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\nvalue:%026d\r\n", i, i
            if (which == "gone" && !kept) printf "*2\r\n$3\r\nDEL\r\n$16\r\nkey:%012d\r\n", i
        }
    }'
}

# Until nothing is moved and it has not become less for some seconds; prints it. Of both kinds of server, so that the
# fresh one has the time to give back what loading needed.
settle_seconds=10
settled() { # NAME
    local now least same=0 waited=0
    least=$(resident "$1")
    while ((same < settle_seconds && waited++ < giveback_wait)); do
        sleep 1
        now=$(resident "$1")
        same=$((same + 1))
        if ((now < least - least / 200)); then least=$now same=0; fi
        [[ $(info "$1" active_defrag_running) == 0 ]] || same=0
    done
    resident "$1"
}

need "$probe"
for side in "${sides[@]}"; do
    start "$side-fresh" 0,1 1
    share_of_keys kept | pour "$side-fresh"
    settled "$side-fresh" >"$work/$side.fresh"
    stop "$side-fresh"
    start "$side" 0,1 1
    [[ $side == trivet ]] || cli "$side" CONFIG SET activedefrag yes active-defrag-ignore-bytes 10mb >"$work/defrag"
    preload "$side" "$snapshot_keys"
    resident "$side" >"$work/$side.full"
    share_of_keys gone | pour "$side"
    resident "$side" >"$work/$side.deleted"
    begin=$EPOCHREALTIME
    probe_for "$side" 600 "$work/$side.probe" GET
    settled "$side" >"$work/$side.rest"
    probe_end "$work/$side.probe"
    awk -v begin="$begin" -v end="$EPOCHREALTIME" -v wait="$settle_seconds" 'BEGIN { printf "%.0f", end - begin - wait }' >"$work/$side.seconds"
    stop "$side"
    progress "$side: $(<"$work/$side.full") kB full, $(<"$work/$side.deleted") after deleting," \
        "$(<"$work/$side.rest") at rest, $(<"$work/$side.fresh") fresh"
done

echo "$snapshot_keys keys, nine of ten deleted at random; $probe_rate GET a second while memory is given back."
[[ $(<"$work/defrag") == OK ]] || echo "redis-server refused: $(<"$work/defrag")"
times() { awk -v a="$(<"$work/$1.$2")" -v b="$(<"$work/$1.fresh")" 'BEGIN { printf "%.2f", a / b }'; }
{
    echo "Resident, times that of a fresh server: full||$(times trivet full)|$(times redis full)"
    echo "just after deleting||$(times trivet deleted)|$(times redis deleted)"
    echo "at rest|at most 1.6|$(times trivet rest)|$(times redis rest)"
    echo "Seconds until then, at most||$(<"$work/trivet.seconds")|$(<"$work/redis.seconds")"
    for column in "5|99.9 %" "6|maximum"; do
        IFS='|' read -r n name <<<"$column"
        echo "GET meanwhile, $name, microseconds||$(field "$work/trivet.probe" GET "$n")|$(field "$work/redis.probe" GET "$n")"
    done
} | show_figures "Memory given back"
