# plot.awk: a plot of bars, as SVG, of lines "name|value of the first|of the second|...".
#
# awk -F '|' -v title=TEXT -v sides="Trivet,Redis" [-v logarithmic=1] [-v digits=N] -f bench/plot.awk ROWS >FILE.svg
#
# A group of bars for each line, one for each side that has a value. Text has the reader's font, and the colours follow
# the reader's choice of light or dark; a value is written at the end of each bar, so the colours are no more than help.

BEGIN {
    count = split(sides, names, ",")
    left = 345; width = 460; bar = 14; gap = 12; top = 64
    if (digits == "") digits = 2
}

{
    label[NR] = $1
    for (i = 1; i <= count; i++) {
        value[NR, i] = $(i + 1)
        if ($(i + 1) == "") continue
        if ($(i + 1) + 0 > most) most = $(i + 1) + 0
        if (least == "" || $(i + 1) + 0 < least) least = $(i + 1) + 0
        bars[NR]++
    }
}

function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    return text
}

# From a third of the least on, so that the shortest bar can be seen.
function length_of(v) {
    if (!logarithmic) return most > 0 ? width * v / most : 0
    return v <= 0 ? 0 : width * log(3 * v / least) / log(3 * most / least)
}

END {
    height = top
    for (row = 1; row <= NR; row++) height += bars[row] * bar + gap
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 %d\" width=\"900\" height=\"%d\" role=\"img\">\n", height, height
    printf "<title>%s</title>\n<style>\n", escaped(title)
    print "text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 15px }"
    print ".s1 { fill: #0969da } .s2 { fill: #bf5b17 } .s3 { fill: #8c959f } .s4 { fill: #6f8f3a }"
    print "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 }"
    print "  .s1 { fill: #58a6ff } .s2 { fill: #f0883e } .s3 { fill: #7d8590 } .s4 { fill: #9ac25a } }\n</style>"
    printf "<text class=\"title\" x=\"8\" y=\"22\">%s%s</text>\n", escaped(title), logarithmic ? " (logarithmic)" : ""
    x = 8
    for (i = 1; i <= count; i++) {
        printf "<rect class=\"s%d\" x=\"%d\" y=\"36\" width=\"12\" height=\"12\"/><text x=\"%d\" y=\"47\">%s</text>\n", i, x, x + 17, escaped(names[i])
        x += 40 + 8 * length(names[i])
    }
    y = top
    for (row = 1; row <= NR; row++) {
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 8, y + bars[row] * bar / 2 + 4, escaped(label[row])
        for (i = 1; i <= count; i++) {
            if (value[row, i] == "") continue
            printf "<rect class=\"s%d\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", i, left, y, length_of(value[row, i]), bar - 2
            printf "<text x=\"%.1f\" y=\"%d\" font-size=\"11\">%.*f</text>\n", left + length_of(value[row, i]) + 5, y + bar - 3, digits, value[row, i]
            y += bar
        }
        y += gap
    }
    print "</svg>"
}
