/* test_struct.c: values in structs, byte for byte, and formats, data and positions that lie. */
#include "fixture.h"

static void integers_have_the_size_of_their_letter(void **state) {
    static const struct example examples[] = {
        { "struct.pack('bBhHiIlLT', 1, 2, 3, 4, 5, 6, 7, 8, 9)",
          "'<01><02><03><00><04><00><05><00><00><00><06><00><00><00><07><00><00><00><00><00><00><00><08>"
          "<00><00><00><00><00><00><00><09><00><00><00><00><00><00><00>'" },
        { "struct.pack('bhil', -1, -2, -3, -4)",
          "'<ff><fe><ff><fd><ff><ff><ff><fc><ff><ff><ff><ff><ff><ff><ff>'" },
        { "struct.pack('BHIL', -1, -2, -3, -4)",
          "'<ff><fe><ff><fd><ff><ff><ff><fc><ff><ff><ff><ff><ff><ff><ff>'" },
        { "struct.pack('bbb', 255, 256, -129)", "'<ff><00><7f>'" },
        { "struct.pack('bbbb', 1.9, -1.9, '12', -0.5)", "'<01><ff><0c><00>'" },
        { "struct.pack('i1i2i3i8', 1, 2, -3, -4)",
          "'<01><02><00><fd><ff><ff><fc><ff><ff><ff><ff><ff><ff><ff>'" },
        { "struct.pack('i0', 1)", "''" },
        { "struct.pack('i9I16', -2, 5)",
          "'<fe><ff><ff><ff><ff><ff><ff><ff><00><05><00><00><00><00><00><00><00><00><00><00><00><00><00>"
          "<00><00>'" },
        { "struct.pack('>i9', -2)", "'<00><ff><ff><ff><ff><ff><ff><ff><fe>'" },
        { "struct.pack('i32', 1)",
          "'<01><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00>"
          "<00><00><00><00><00><00><00><00><00>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_format_has_either_order_of_bytes(void **state) {
    static const struct example examples[] = {
        { "struct.pack('<H>H<H', 258, 258, 258)", "'<02><01><01><02><02><01>'" },
        { "struct.pack('>i3>l', -2, 258)", "'<ff><ff><fe><00><00><00><00><00><00><01><02>'" },
        { "struct.pack('>f>d<f<d', 1.5, 1.5, 1.5, 1.5)",
          "'?<c0><00><00>?<f8><00><00><00><00><00><00><00><00><c0>?<00><00><00><00><00><00><f8>?'" },
        { "struct.unpack('<H>H', '\\1\\2\\1\\2')", "513 258 5" },
        { "struct.unpack('>i3', '\\1\\2\\3')", "66051 4" },
        { "struct.unpack('>f>d', '\\63\\192\\0\\0\\63\\248\\0\\0\\0\\0\\0\\0')", "1.5 1.5 13" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void numbers_beyond_64_bits_have_bytes_too(void **state) {
    static const struct example examples[] = {
        { "struct.pack('LL', 2^53, 2^63)",
          "'<00><00><00><00><00><00> <00><00><00><00><00><00><00><00><80>'" },
        { "struct.pack('LLL', 2^64-2048, 2^64, 1e300)",
          "'<00><f8><ff><ff><ff><ff><ff><ff><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00>"
          "<00>'" },
        { "struct.pack('lll', -2^63, -2^63-4096, -1e300)",
          "'<00><00><00><00><00><00><00><80><00><00><00><00><00><00><00><80><00><00><00><00><00><00><00>"
          "<80>'" },
        { "struct.pack('lll', 0/0, 1/0, -1/0)",
          "'<00><00><00><00><00><00><00><80><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00>"
          "<80>'" },
        { "struct.pack('bb', 1e300, 2^63+4096)", "'<00><00>'" },
        { "struct.pack('fff', 1e300, -1e300, 1e-50)", "'<00><00><80><7f><00><00><80><ff><00><00><00><00>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void floats_are_packed_as_they_are(void **state) {
    static const struct example examples[] = {
        { "struct.pack('fd', 0.5, 0.1)", "'<00><00><00>?<9a><99><99><99><99><99><b9>?'" },
        { "struct.pack('d', '1.5')", "'<00><00><00><00><00><00><f8>?'" },
        { "struct.unpack('f', '\\0\\0\\192\\63')", "1.5 5" },
        { "struct.unpack('d', '\\0\\0\\0\\0\\0\\0\\240\\127')", "inf 9" },
        { "struct.unpack('d', struct.pack('d', 0.1))", "0.10000000000000001 9" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void strings_end_at_a_nul_or_a_length(void **state) {
    static const struct example examples[] = {
        { "struct.pack('s', 'abc')", "'abc<00>'" },
        { "struct.pack('ss', '', 12)", "'<00>12<00>'" },
        { "struct.pack('s', 'a\\0c')", "'a<00>c<00>'" },
        { "struct.pack('cc1c3', 'abc', 'abc', 'abc')", "'aaabc'" },
        { "struct.pack('c0', 'abc')", "'abc'" },
        { "struct.pack('c0', '')", "''" },
        { "struct.pack('c00', 'abc')", "'abc'" },
        { "struct.pack('c4', 'abc')", "error: bad argument #3 to 'pack' (string too short)" },
        { "struct.pack('c', '')", "error: bad argument #3 to 'pack' (string too short)" },
        { "struct.unpack('s', 'abc\\0d')", "'abc' 5" },
        { "struct.unpack('sss', '\\0a\\0bc\\0')", "'' 'a' 'bc' 7" },
        { "struct.unpack('s', 'abc')", "error: unfinished string in data" },
        { "struct.unpack('s', '')", "error: unfinished string in data" },
        { "struct.unpack('c3', 'abc')", "'abc' 4" },
        { "struct.unpack('c', 'abc')", "'a' 2" },
        { "struct.unpack('c4', 'abc')", "error: bad argument #2 to 'unpack' (data string too short)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void the_value_before_c0_is_its_size(void **state) {
    static const struct example examples[] = {
        { "struct.unpack('bc0', '\\2abc')", "'ab' 4" },
        { "struct.unpack('bc0', '\\0abc')", "'' 2" },
        { "struct.unpack('bxc0', '\\2-abc')", "'ab' 5" },
        { "struct.unpack('c1c0', '2abc')", "'ab' 4" },
        { "struct.unpack('c3c0', '0x2abcdef')", "'ab' 6" },
        { "struct.unpack('c2c0', ' 2abcdef')", "'ab' 5" },
        { "struct.unpack('sc0', '1\\0abc')", "'a' 4" },
        { "struct.unpack('bc0c0', '\\0011bc')", "'b' 4" },
        { "struct.unpack('dc0', struct.pack('d', 1.5) .. 'abc')", "'a' 10" },
        { "struct.unpack('dc0', struct.pack('d', -0.5) .. 'abc')", "'' 9" },
        { "struct.unpack('dc0', struct.pack('d', 1e300) .. 'abc')", "'' 9" },
        { "struct.unpack('dc0', struct.pack('d', -1e300) .. 'abc')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('dc0', struct.pack('d', 0/0) .. 'abc')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('dc0', struct.pack('d', 2^63) .. 'abc')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('Lc0', ('\\255'):rep(8) .. 'abc')", "'' 9" },
        { "struct.unpack('lc0', ('\\255'):rep(8) .. 'abc')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('bc0', '\\4abc')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('Bc0', '\\255abc')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('bc0', '\\255abc')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('c0', 'abc')", "error: format 'c0' needs a previous size" },
        { "struct.unpack('c0', '3')", "error: format 'c0' needs a previous size" },
        { "struct.unpack('c0', 'abc', 1)", "error: format 'c0' needs a previous size" },
        { "struct.unpack('bc0c0', '\\1abc', 1)", "error: format 'c0' needs a previous size" },
        { "struct.unpack('sc0', 'x\\0abc')", "error: format 'c0' needs a previous size" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void values_are_aligned_to_their_size(void **state) {
    static const struct example examples[] = {
        { "struct.pack('bi', 1, 2)", "'<01><02><00><00><00>'" },
        { "struct.pack('!bi', 1, 2)", "'<01><00><00><00><02><00><00><00>'" },
        { "struct.pack('!1bi', 1, 2)", "'<01><02><00><00><00>'" },
        { "struct.pack('!2bi', 1, 2)", "'<01><00><02><00><00><00>'" },
        { "struct.pack('!bd', 1, 2)", "'<01><00><00><00><00><00><00><00><00><00><00><00><00><00><00>@'" },
        { "struct.pack('!4bd', 1, 2)", "'<01><00><00><00><00><00><00><00><00><00><00>@'" },
        { "struct.pack('!bi3', 1, 2)", "'<01><00><00><02><00><00>'" },
        { "struct.pack('!bi5', 1, 2)", "'<01><00><00><00><00><02><00><00><00><00>'" },
        { "struct.pack('!4bi6', 1, 2)", "'<01><00><00><00><02><00><00><00><00><00>'" },
        { "struct.pack('!bi16', 1, 2)",
          "'<01><00><00><00><00><00><00><00><02><00><00><00><00><00><00><00><00><00><00><00><00><00><00>"
          "<00>'" },
        { "struct.pack('!16bi16', 1, 2)",
          "'<01><00><00><00><00><00><00><00><00><00><00><00><00><00><00><00><02><00><00><00><00><00><00>"
          "<00><00><00><00><00><00><00><00><00>'" },
        { "struct.pack('!bsc3h', 1, 'x', 'xyz', 2)", "'<01>x<00>xyz<02><00>'" },
        { "struct.pack('!hxi', 1, 2)", "'<01><00><00><00><02><00><00><00>'" },
        { "struct.pack('!1073741824bi', 1, 2)", "'<01><00><00><00><02><00><00><00>'" },
        { "struct.pack('! c1 d !1 b d', 'abc', 5, 6, 7)",
          "'a<00><00><00><00><00><00><00><00><00><00><00><00><00><14>@<06><00><00><00><00><00><00><1c>@'" },
        { "struct.unpack('!bi', '\\1\\0\\0\\0\\2\\0\\0\\0')", "1 2 9" },
        { "struct.unpack('!bi', '\\9\\1\\0\\0\\0\\2\\0\\0\\0', 2)", "1 512 9" },
        { "struct.unpack('!bi', '\\1\\0\\0\\0\\2\\0\\0')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('!i', '\\1\\1\\1\\1\\1', 6)",
          "error: bad argument #2 to 'unpack' (data string too short)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void integers_come_out_with_their_sign(void **state) {
    static const struct example examples[] = {
        { "struct.unpack('bBhH', '\\255\\255\\255\\255\\255\\255')", "-1 255 -1 65535 7" },
        { "struct.unpack('i3I3', '\\255\\255\\255\\255\\255\\255')", "-1 16777215 7" },
        { "struct.unpack('lL', ('\\255'):rep(16))", "-1 1.8446744073709552e+19 17" },
        { "struct.unpack('i8T', '\\0\\0\\0\\0\\0\\0\\0\\128\\0\\0\\0\\0\\0\\0\\0\\128')",
          "-9.2233720368547758e+18 9.2233720368547758e+18 17" },
        { "struct.unpack('i0I0', 'abc')", "0 0 1" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void of_more_than_eight_bytes_the_upper_ones_do_not_count(void **state) {
    static const struct example examples[] = {
        { "struct.unpack('i9', '\\1\\0\\0\\0\\0\\0\\0\\0\\255')", "1 10" },
        { "struct.unpack('I9', '\\1\\0\\0\\0\\0\\0\\0\\0\\255')", "1 10" },
        { "struct.unpack('i9', '\\255\\255\\255\\255\\255\\255\\255\\255\\0')", "-1 10" },
        { "struct.unpack('i9', '\\1\\2\\3\\4\\5\\6\\7\\8\\9')", "-127 10" },
        { "struct.unpack('>i9', '\\1\\2\\3\\4\\5\\6\\7\\8\\9')", "-119 10" },
        { "struct.unpack('i10', '\\1\\130\\0\\0\\0\\0\\0\\0\\0\\0')", "-32255 11" },
        { "struct.unpack('>i16', ('\\255'):rep(15) .. '\\254')", "-2 17" },
        { "struct.unpack('>I16', ('\\255'):rep(15) .. '\\254')", "1.8446744073709552e+19 17" },
        { "struct.unpack('i32', ('\\1'):rep(40))", "72340172838076672 33" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_position_counts_from_one(void **state) {
    static const struct example examples[] = {
        { "struct.unpack('b', '\\1\\2', 2)", "2 3" },
        { "struct.unpack('b', '\\1\\2', nil)", "1 2" },
        { "struct.unpack('b', '\\1\\2', 1.9)", "1 2" },
        { "struct.unpack('b', '\\1\\2', '2')", "2 3" },
        { "struct.unpack('b', '\\1\\2', 1, 7, 8)", "1 2" },
        { "struct.unpack('', '\\1\\2')", "1" },
        { "struct.unpack('', '\\1\\2', 3)", "3" },
        { "struct.unpack('', '\\1\\2', 100)", "100" },
        { "struct.unpack('', '\\1\\2', -5)", "-5" },
        { "struct.unpack('', '\\1\\2', 1e300)", "-9.2233720368547758e+18" },
        { "struct.unpack('b', '\\1\\2', 3)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 4)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack(' ', '\\1\\2', 4)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('i0', '\\1\\2', 4)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('s', '\\1\\2', 4)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('c0', '\\1\\2', 4)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 0)",
          "error: bad argument #3 to 'unpack' (offset must be 1 or greater)" },
        { "struct.unpack('', '', 0)", "error: bad argument #3 to 'unpack' (offset must be 1 or greater)" },
        { "struct.unpack('b', '\\1\\2', -1)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('!i', '\\1\\2\\3\\4', -1)",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 2^32)",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 2^32+1)",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 2^63)",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 0/0)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('b', '\\1\\2', 'x')",
          "error: bad argument #3 to 'unpack' (number expected, got string)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_size_is_the_sum_of_sizes(void **state) {
    static const struct example examples[] = {
        { "struct.size('')", "0" },
        { "struct.size('bhilLTfdx c5 c1 c')", "51" },
        { "struct.size('!bi')", "8" },
        { "struct.size('!bc3i')", "8" },
        { "struct.size('<>! i0i32')", "32" },
        { "struct.size('c2147483640c2147483640c2147483640')", "6442450920" },
        { "struct.size('!c2147483647i')", "2147483652" },
        { "struct.size('b\\0b')", "1" },
        { "struct.size('s')", "error: bad argument #1 to 'size' (option 's' has no fixed size)" },
        { "struct.size('bc0')", "error: bad argument #1 to 'size' (option 'c0' has no fixed size)" },
        { "struct.size('zq')", "0" },
        { "struct.size(5)", "0" },
        { "struct.size('=')", "error: bad argument #1 to 'size' (invalid format option '=')" },
        { "struct.size('\\233')", "error: bad argument #1 to 'size' (invalid format option '\351')" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void hostile_sizes_are_refused(void **state) {
    static const struct example examples[] = {
        { "struct.pack('i33', 1)", "error: integral size 33 is larger than limit of 32" },
        { "struct.pack('i2147483647', 1)", "error: integral size 2147483647 is larger than limit of 32" },
        { "struct.unpack('i2147483647', 'abc')",
          "error: integral size 2147483647 is larger than limit of 32" },
        { "struct.size('i2147483647')", "error: integral size 2147483647 is larger than limit of 32" },
        { "struct.pack('i2147483648', 1)", "error: integral size overflow" },
        { "struct.pack('i4294967297', 1)", "error: integral size overflow" },
        { "struct.size('I99999999999999999999999999')", "error: integral size overflow" },
        { "struct.pack('c2147483647', 'abc')", "error: bad argument #3 to 'pack' (string too short)" },
        { "struct.unpack('c2147483647', 'abc')",
          "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.pack('c2147483648', 'abc')", "error: integral size overflow" },
        { "struct.pack('c4294967295', 'abc')", "error: integral size overflow" },
        { "struct.unpack('c4294967299', 'abc')", "error: integral size overflow" },
        { "struct.size('c4294967295')", "error: integral size overflow" },
        { "struct.pack('!0', 1)", "error: alignment 0 is not a power of 2" },
        { "struct.pack('!3bi', 1, 2)", "error: alignment 3 is not a power of 2" },
        { "struct.unpack('!99', '')", "error: alignment 99 is not a power of 2" },
        { "struct.size('!2147483647')", "error: alignment 2147483647 is not a power of 2" },
        { "struct.size('!2147483648')", "error: integral size overflow" },
        { "struct.unpack('!4294967296', '')", "error: integral size overflow" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void unknown_options_are_refused(void **state) {
    static const struct example examples[] = {
        { "struct.pack('z', 1)", "error: bad argument #1 to 'pack' (invalid format option 'z')" },
        { "struct.pack('=H', 1)", "error: bad argument #1 to 'pack' (invalid format option '=')" },
        { "struct.pack('5', 1)", "error: bad argument #1 to 'pack' (invalid format option '5')" },
        { "struct.pack('x5')", "error: bad argument #1 to 'pack' (invalid format option '5')" },
        { "struct.pack('%')", "error: bad argument #1 to 'pack' (invalid format option '%')" },
        { "struct.pack('c-1', 'a')", "error: bad argument #1 to 'pack' (invalid format option '-')" },
        { "struct.pack('\\n')", "error: bad argument #1 to 'pack' (invalid format option '\n')" },
        { "struct.pack('\\233')", "error: bad argument #1 to 'pack' (invalid format option '\351')" },
        { "struct.unpack('z', 'a')", "error: bad argument #1 to 'unpack' (invalid format option 'z')" },
        { "struct.unpack('z', 'a', 5)", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.pack('b\\0z', 1)", "'<01>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void arguments_are_checked(void **state) {
    static const struct example examples[] = {
        { "struct.pack()", "error: bad argument #1 to 'pack' (string expected, got no value)" },
        { "struct.pack({})", "error: bad argument #1 to 'pack' (string expected, got table)" },
        { "struct.pack('')", "''" },
        { "struct.pack('b', 1, 2)", "'<01>'" },
        { "struct.pack('b')", "error: bad argument #2 to 'pack' (number expected, got nil)" },
        { "struct.pack('bb', 1)", "error: bad argument #3 to 'pack' (number expected, got nil)" },
        { "struct.pack('b', 'x')", "error: bad argument #2 to 'pack' (number expected, got string)" },
        { "struct.pack('d', {})", "error: bad argument #2 to 'pack' (number expected, got table)" },
        { "struct.pack('s', nil)", "error: bad argument #2 to 'pack' (string expected, got nil)" },
        { "struct.pack('c3', true)", "error: bad argument #2 to 'pack' (string expected, got boolean)" },
        { "struct.pack('bz')", "error: bad argument #2 to 'pack' (number expected, got nil)" },
        { "struct.pack('zb')", "error: bad argument #1 to 'pack' (invalid format option 'z')" },
        { "struct.unpack()", "error: bad argument #1 to 'unpack' (string expected, got no value)" },
        { "struct.unpack('b')", "error: bad argument #2 to 'unpack' (string expected, got no value)" },
        { "struct.unpack('b', {})", "error: bad argument #2 to 'unpack' (string expected, got table)" },
        { "struct.unpack('b', '')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('bb', '\\1')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.unpack('x', '')", "error: bad argument #2 to 'unpack' (data string too short)" },
        { "struct.size()", "error: bad argument #1 to 'size' (string expected, got no value)" },
        { "struct.size({})", "error: bad argument #1 to 'size' (string expected, got table)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_stack_that_is_full_is_an_error(void **state) {
    static const struct example examples[] = {
        { "select('#', struct.unpack(('b'):rep(7997), ('a'):rep(7997)))", "7998" },
        { "select('#', struct.unpack(('b'):rep(7998), ('a'):rep(7998)))",
          "error: stack overflow (too many results)" },
        { "select('#', struct.unpack(('b'):rep(7997) .. ' ', ('a'):rep(7998)))",
          "error: stack overflow (too many results)" },
        { "select('#', struct.unpack(('b'):rep(100000), ('a'):rep(100000)))",
          "error: stack overflow (too many results)" },
        { "struct.unpack(('x'):rep(20000) .. 'b', ('a'):rep(20001))", "97 20002" },
        { "(function() local t = {} for i = 1, 7900 do t[i] = i end return #struct.pack(('s'):rep(7900), un"
          "pack(t)) end)()",
          "38393" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void nothing_leaks_when_memory_runs_out(void **state) {
    (void)state;
    check_out_of_memory("local packed = struct.pack('!8bdsc0', 1, 2, ('x'):rep(20000), ('y'):rep(20000)) "
                        "local b, d, s, last = struct.unpack('!8bdsc2', packed) "
                        "assert(b == 1 and d == 2 and #s == 20000 and last == 'yy')");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_have_the_size_of_their_letter),
        cmocka_unit_test(a_format_has_either_order_of_bytes),
        cmocka_unit_test(numbers_beyond_64_bits_have_bytes_too),
        cmocka_unit_test(floats_are_packed_as_they_are),
        cmocka_unit_test(strings_end_at_a_nul_or_a_length),
        cmocka_unit_test(the_value_before_c0_is_its_size),
        cmocka_unit_test(values_are_aligned_to_their_size),
        cmocka_unit_test(integers_come_out_with_their_sign),
        cmocka_unit_test(of_more_than_eight_bytes_the_upper_ones_do_not_count),
        cmocka_unit_test(a_position_counts_from_one),
        cmocka_unit_test(a_size_is_the_sum_of_sizes),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(unknown_options_are_refused),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(a_stack_that_is_full_is_an_error),
        cmocka_unit_test(nothing_leaks_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
