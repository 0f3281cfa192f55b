/* test_cmsgpack.c: values in MessagePack, byte for byte, and bytes that lie. */
#include "fixture.h"

static void a_number_takes_its_shortest_form(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack(0, 1, 127, 128, 255, 256, 65535, 65536)",
          "'<00><01><7f><cc><80><cc><ff><cd><01><00><cd><ff><ff><ce><00><01><00><00>'" },
        { "cmsgpack.pack(2^32-1, 2^32, 2^53, 2^63-1024)",
          "'<ce><ff><ff><ff><ff><cf><00><00><00><01><00><00><00><00><cf><00> <00><00><00><00><00><00><cf>"
          "<7f><ff><ff><ff><ff><ff><fc><00>'" },
        { "cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769)",
          "'<ff><e0><d0><df><d0><80><d1><ff><7f><d1><80><00><d2><ff><ff><7f><ff>'" },
        { "cmsgpack.pack(-2^31, -2^31-1, -2^53, -2^63)",
          "'<d2><80><00><00><00><d3><ff><ff><ff><ff><7f><ff><ff><ff><d3><ff><e0><00><00><00><00><00><00>"
          "<d3><80><00><00><00><00><00><00><00>'" },
        { "cmsgpack.pack(2^63, 2^64, -2^63-2048, 1e19, 1e300)",
          "'<ca>_<00><00><00><ca>_<80><00><00><cb><c3><e0><00><00><00><00><00><01><cb>C<e1>X<e4>`<91>=<00>"
          "<cb>~7<e4><3c><88><00>u<9c>'" },
        { "cmsgpack.pack(0.5, -0.0, 0.1, 3.4028234663852886e38, 1e-45, 1e-50)",
          "'<ca>?<00><00><00><00><cb>?<b9><99><99><99><99><99><9a><ca><7f><7f><ff><ff><cb>6<96><d6><01><ad>"
          "7j<b9><cb>5<8d><ee>zJ<d4><b8><1f>'" },
        { "cmsgpack.pack(1/0, -1/0, 0/0, -(0/0))",
          "'<ca><7f><80><00><00><ca><ff><80><00><00><cb><ff><f8><00><00><00><00><00><00><cb><7f><f8><00>"
          "<00><00><00><00><00>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_string_has_the_head_of_its_length(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack('', 'a', 'a\\0\\255')", "'<a0><a1>a<a3>a<00><ff>'" },
        { "cmsgpack.pack(('x'):rep(31)):sub(1, 3), #cmsgpack.pack(('x'):rep(31))", "'<bf>xx' 32" },
        { "cmsgpack.pack(('x'):rep(32)):sub(1, 3), #cmsgpack.pack(('x'):rep(32))", "'<d9> x' 34" },
        { "cmsgpack.pack(('x'):rep(255)):sub(1, 3), #cmsgpack.pack(('x'):rep(255))", "'<d9><ff>x' 257" },
        { "cmsgpack.pack(('x'):rep(256)):sub(1, 4), #cmsgpack.pack(('x'):rep(256))", "'<da><01><00>x' 259" },
        { "cmsgpack.pack(('x'):rep(65535)):sub(1, 4), #cmsgpack.pack(('x'):rep(65535))",
          "'<da><ff><ff>x' 65538" },
        { "cmsgpack.pack(('x'):rep(65536)):sub(1, 6), #cmsgpack.pack(('x'):rep(65536))",
          "'<db><00><01><00><00>x' 65541" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void what_has_no_form_is_nil(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack(true, false, nil)", "'<c3><c2><c0>'" },
        { "cmsgpack.pack(math.abs, coroutine.create(function() end))", "'<c0><c0>'" },
        { "cmsgpack.pack({math.abs})", "'<91><c0>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_table_with_the_keys_1_to_n_is_an_array(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack({})", "'<90>'" },
        { "cmsgpack.pack({1, 2, 3})", "'<93><01><02><03>'" },
        { "cmsgpack.pack({[2] = 2, [1] = 1})", "'<92><01><02>'" },
        { "cmsgpack.pack({1, nil, 3})", "'<82><01><01><03><03>'" },
        { "cmsgpack.pack({nil, 2})", "'<81><02><02>'" },
        { "cmsgpack.pack({[0] = 1})", "'<81><00><01>'" },
        { "cmsgpack.pack({[-1] = 1})", "'<81><ff><01>'" },
        { "cmsgpack.pack({[1.5] = 1})", "'<81><ca>?<c0><00><00><01>'" },
        { "cmsgpack.pack({1, [1.5] = 2})", "'<82><01><01><ca>?<c0><00><00><02>'" },
        { "cmsgpack.pack({[1e300] = 3})", "'<81><cb>~7<e4><3c><88><00>u<9c><03>'" },
        { "cmsgpack.pack({[1/0] = 3})", "'<81><ca><7f><80><00><00><03>'" },
        { "cmsgpack.pack({[2^32+1] = 3})", "'<81><cf><00><00><00><01><00><00><00><01><03>'" },
        { "cmsgpack.pack({['1'] = 3})", "'<81><a1>1<03>'" },
        { "cmsgpack.pack({a = 1})", "'<81><a1>a<01>'" },
        { "cmsgpack.pack({[true] = {}})", "'<81><c3><90>'" },
        { "cmsgpack.pack({[{1}] = {2}})", "'<81><91><01><91><02>'" },
        { "cmsgpack.pack(setmetatable({}, {__index = function() return 5 end}))", "'<90>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_table_has_the_head_of_its_length(void **state) {
    static const struct example examples[] = {
        { "(function() local t = {} for i = 1, 15 do t[i] = 1 end return cmsgpack.pack(t):sub(1, 2) end)()",
          "'<9f><01>'" },
        { "(function() local t = {} for i = 1, 16 do t[i] = 1 end return cmsgpack.pack(t):sub(1, 4) end)()",
          "'<dc><00><10><01>'" },
        { "(function() local t = {} for i = 1, 65536 do t[i] = 1 end return cmsgpack.pack(t):sub(1, 6) end)"
          "()",
          "'<dd><00><01><00><00><01>'" },
        { "(function() local t = {} for i = 1, 15 do t[-i] = 1 end return cmsgpack.pack(t):sub(1, 1) end)()",
          "'<8f>'" },
        { "(function() local t = {} for i = 1, 16 do t[-i] = 1 end return cmsgpack.pack(t):sub(1, 3) end)()",
          "'<de><00><10>'" },
        { "(function() local t = {} for i = 1, 65536 do t[-i] = 1 end return cmsgpack.pack(t):sub(1, 5) end"
          ")()",
          "'<df><00><01><00><00>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void what_is_deeper_than_sixteen_tables_is_nil(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack({{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}})",
          "'<91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><01>'" },
        { "cmsgpack.pack({{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}})",
          "'<91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><c0>'" },
        { "cmsgpack.pack({{{{{{{{{{{{{{{{1, {}, 'x'}}}}}}}}}}}}}}}})",
          "'<91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><93><01><c0><a1>x'" },
        { "(function() local t = 1 for i = 1, 20 do t = {a = t} end return cmsgpack.pack(t) end)()",
          "'<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81>"
          "<a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<81><a1>a<c0>'" },
        { "(function() local t = {} t[1] = t return cmsgpack.pack(t) end)()",
          "'<91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><91><c0>'" },
        { "(function() local t = 1 for i = 1, 20 do t = {[t] = i} end return cmsgpack.pack(t) end)()",
          "'<81><81><81><81><81><81><81><81><81><81><81><81><81><81><81><81><c0><05><06><07><08><09><0a>"
          "<0b><0c><0d><0e><0f><10><11><12><13><14>'" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void every_form_is_unpacked(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.unpack('\\0\\127\\224\\255')", "0 127 -32 -1" },
        { "cmsgpack.unpack('\\192\\194\\195')", "nil false true" },
        { "cmsgpack.unpack('\\204\\255\\205\\255\\254\\206\\255\\255\\255\\254')", "255 65534 4294967294" },
        { "cmsgpack.unpack('\\208\\255\\209\\128\\0\\210\\255\\255\\255\\254\\211\\255\\255\\255\\255\\255"
          "\\255\\255\\254')",
          "-1 -32768 -2 -2" },
        { "cmsgpack.unpack('\\202\\63\\0\\0\\0\\203\\63\\224\\0\\0\\0\\0\\0\\0')", "0.5 0.5" },
        { "cmsgpack.unpack('\\202\\127\\128\\0\\0\\202\\255\\128\\0\\0')", "inf -inf" },
        { "cmsgpack.unpack('\\160\\161a\\217\\3abc\\218\\0\\3abc\\219\\0\\0\\0\\3abc')",
          "'' 'a' 'abc' 'abc' 'abc'" },
        { "cmsgpack.unpack('\\144\\147\\1\\192\\3\\220\\0\\1\\5\\221\\0\\0\\0\\1\\6')",
          "{} {1=1, 3=3} {1=5} {1=6}" },
        { "cmsgpack.unpack('\\128\\130\\1\\2\\161a\\3\\222\\0\\1\\5\\6\\223\\0\\0\\0\\1\\7\\8')",
          "{} {'a'=3, 1=2} {5=6} {7=8}" },
        { "cmsgpack.unpack('\\130\\1\\2\\1\\3\\129\\1\\192\\129\\144\\145\\195')", "{1=3} {} {{}={1=true}}" },
        { "cmsgpack.unpack('')", "" },
        { "cmsgpack.unpack(12)", "49 50" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void an_unsigned_number_above_2_to_the_63_is_negative(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.unpack('\\207\\127\\255\\255\\255\\255\\255\\252\\0')", "9.2233720368547748e+18" },
        { "cmsgpack.unpack('\\207\\128\\0\\0\\0\\0\\0\\0\\0')", "-9.2233720368547758e+18" },
        { "cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\255')", "-1" },
        { "cmsgpack.unpack('\\211\\128\\0\\0\\0\\0\\0\\0\\0')", "-9.2233720368547758e+18" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void an_offset_says_where_to_begin(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.unpack_one('\\1\\2\\3')", "1 1" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 1)", "2 2" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 2)", "-1 3" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 3)", "-1" },
        { "cmsgpack.unpack_one('\\1\\2\\3', nil)", "1 1" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 1.7)", "2 2" },
        { "cmsgpack.unpack_one('\\1\\2\\3', '1')", "2 2" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 0, 'more')", "1 1" },
        { "cmsgpack.unpack_one('')", "-1" },
        { "cmsgpack.unpack_one('\\1\\2\\3', 4)", "error: Start offset 4 greater than input length 3." },
        { "cmsgpack.unpack_one('', 1)", "error: Start offset 1 greater than input length 0." },
        { "cmsgpack.unpack_one('\\1\\2\\3', -1)",
          "error: Invalid request to unpack with offset of -1 and limit of 3." },
        { "cmsgpack.unpack_one('\\1\\2\\3', 2^31)",
          "error: Start offset -2147483648 greater than input length 3." },
        { "cmsgpack.unpack_one('\\1\\2\\3', 2^32+1)", "error: Start offset 1 greater than input length 3." },
        { "cmsgpack.unpack_one('\\1\\2\\3', -2^32+1)",
          "error: Invalid request to unpack with offset of 1 and limit of 3." },
        { "cmsgpack.unpack_one('\\1\\2\\3', 1e300)",
          "error: Invalid request to unpack with offset of 0 and limit of 3." },
        { "cmsgpack.unpack_one('\\1\\2\\3', 0/0)",
          "error: Invalid request to unpack with offset of 0 and limit of 3." },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_limit_says_how_many(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.unpack_limit('\\1\\2\\3', 0)", "1 2 3" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 1)", "1 1" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 2)", "2 1 2" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 3)", "-1 1 2 3" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 4)", "-1 1 2 3" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 2^32+1)", "-1 1 2 3" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', '2', 1, 'more')", "-1 2 3" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 2, 3)", "-1" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 0, 1)", "1" },
        { "cmsgpack.unpack_limit('', 0)", "" },
        { "cmsgpack.unpack_limit('', 1)", "-1" },
        { "cmsgpack.unpack_limit('\\1\\2\\3', -1)",
          "error: Invalid request to unpack with offset of 0 and limit of 3." },
        { "cmsgpack.unpack_limit('\\1\\2\\3', -2, 5)",
          "error: Invalid request to unpack with offset of 5 and limit of 3." },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 1, -1)",
          "error: Invalid request to unpack with offset of -1 and limit of 3." },
        { "cmsgpack.unpack_limit('\\1\\2\\3', 0, 4)", "error: Start offset 4 greater than input length 3." },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void arguments_are_checked(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.pack()", "error: bad argument #0 to 'pack' (MessagePack pack needs input.)" },
        { "cmsgpack.pack(unpack({}, 1, 4001))",
          "error: bad argument #0 to 'pack' (Too many arguments for MessagePack pack.)" },
        { "cmsgpack.unpack()", "error: bad argument #1 to 'unpack' (string expected, got no value)" },
        { "cmsgpack.unpack({})", "error: bad argument #1 to 'unpack' (string expected, got table)" },
        { "cmsgpack.unpack_one()", "error: bad argument #1 to 'unpack_one' (string expected, got no value)" },
        { "cmsgpack.unpack_one({}, -1)",
          "error: bad argument #1 to 'unpack_one' (string expected, got table)" },
        { "cmsgpack.unpack_one({}, 'x')",
          "error: bad argument #2 to 'unpack_one' (number expected, got string)" },
        { "cmsgpack.unpack_limit()",
          "error: bad argument #2 to 'unpack_limit' (number expected, got no value)" },
        { "cmsgpack.unpack_limit('', nil)",
          "error: bad argument #2 to 'unpack_limit' (number expected, got nil)" },
        { "cmsgpack.unpack_limit(nil, -1)",
          "error: bad argument #1 to 'unpack_limit' (string expected, got nil)" },
        { "cmsgpack.unpack_limit({}, 1, 'x')",
          "error: bad argument #3 to 'unpack_limit' (number expected, got string)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void bytes_that_lie_are_refused(void **state) {
    static const struct example examples[] = {
        { "cmsgpack.unpack('\\193')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\1\\2\\193')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\196\\3abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\197\\0\\3abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\198\\0\\0\\0\\3abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\199\\3\\1abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\200\\0\\3\\1abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\201\\0\\0\\0\\3\\1abc')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\212\\1a')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\216\\1abcdefghijklmnop')", "error: Bad data format in input." },
        { "cmsgpack.unpack('\\204')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\207\\1\\2\\3\\4\\5\\6\\7')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\203\\1\\2\\3\\4\\5\\6\\7')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\162a')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\217\\255abc')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\218\\255\\255abc')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\219\\255\\255\\255\\255abc')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\219\\255\\255\\255')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\220\\255\\255\\1\\1')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\221\\255\\255\\255\\255\\1\\1')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\223\\255\\255\\255\\255\\1\\1')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\159\\1')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\143\\1\\2')", "error: Missing bytes in input." },
        { "cmsgpack.unpack('\\129\\192\\1')", "error: table index is nil" },
        { "cmsgpack.unpack('\\129\\202\\127\\192\\0\\0\\1')", "error: table index is NaN" },
        { "cmsgpack.unpack('\\129\\192\\193')", "error: Bad data format in input." },
        { "cmsgpack.unpack_one('\\1\\193')", "1 1" },
        { "cmsgpack.unpack_limit('\\1\\193', 2)", "error: Bad data format in input." },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_stack_that_is_full_is_an_error(void **state) {
    static const struct example examples[] = {
        { "select('#', cmsgpack.unpack(('\\1'):rep(7998)))", "7998" },
        { "select('#', cmsgpack.unpack(('\\1'):rep(8000)))",
          "error: stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)" },
        { "select('#', cmsgpack.unpack_limit(('\\1'):rep(8000), 7998))", "7999" },
        { "select('#', cmsgpack.unpack_limit(('\\1'):rep(8000), 7999))",
          "error: stack overflow (in function mp_unpack_full)" },
        { "type(cmsgpack.unpack(('\\145'):rep(3999) .. '\\1'))", "'table'" },
        { "cmsgpack.unpack(('\\145'):rep(4000) .. '\\1')",
          "error: stack overflow (in function mp_decode_to_lua_array)" },
        { "cmsgpack.unpack('\\1' .. ('\\145'):rep(3999) .. '\\1')",
          "error: stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)" },
        { "cmsgpack.unpack('\\1' .. ('\\145'):rep(3999))", "error: Missing bytes in input." },
        { "cmsgpack.unpack(('\\145'):rep(100000))",
          "error: stack overflow (in function mp_decode_to_lua_array)" },
        { "cmsgpack.unpack(('\\129\\1'):rep(4000) .. '\\1')",
          "error: stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)" },
        { "(function() local t = {} for i = 1, 4000 do t[i] = i end return #cmsgpack.pack(unpack(t)) end)()",
          "11618" },
        { "(function() local t = {} for i = 1, 4000 do t[i] = {} end return #cmsgpack.pack(unpack(t)) end)("
          ")",
          "error: stack overflow (in function table_is_an_array)" },
        { "(function() local t = {} for i = 1, 3999 do t[i] = {} end return #cmsgpack.pack(unpack(t)) end)("
          ")",
          "3999" },
        { "(function() local t = {} for i = 1, 3999 do t[i] = {a = 1} end return #cmsgpack.pack(unpack(t)) "
          "end)()",
          "error: stack overflow (in function mp_encode_lua_table_as_map)" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void the_library_says_what_it_is(void **state) {
    static const struct example examples[] = {
        { "cmsgpack._NAME, cmsgpack._VERSION", "'cmsgpack' 'lua-cmsgpack 0.4.0'" },
        { "cmsgpack._COPYRIGHT, cmsgpack._DESCRIPTION",
          "'Copyright (C) 2012, Salvatore Sanfilippo' 'MessagePack C implementation for Lua'" },
        { "(function() local n = 0 for k in pairs(cmsgpack) do n = n + 1 end return n end)()", "8" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

/* Beyond the packer's first room, and beyond each that follows. */
static void what_is_packed_is_unpacked_the_same(void **state) {
    static const char chunk[] =
        "local numbers, names = {}, {} "
        "for i = 1, 20000 do numbers[i] = i * 1.5; names['name' .. i] = {i, -i, tostring(i)} end "
        "local long = ('x'):rep(70000) "
        "local packed = cmsgpack.pack(numbers, names, long, true) "
        "local numbers2, names2, long2, last = cmsgpack.unpack(packed) "
        "assert(#numbers2 == 20000 and long2 == long and last == true) "
        "for i = 1, 20000 do "
        "  local t = names2['name' .. i] "
        "  assert(numbers2[i] == i * 1.5 and t[1] == i and t[2] == -i and t[3] == tostring(i)) "
        "end "
        "assert(cmsgpack.pack(numbers2) == cmsgpack.pack(numbers)) ";
    struct allowance allowance;
    lua_State *L = new_interpreter(&allowance);
    (void)state;
    if (luaL_dostring(L, chunk)) fail_msg("%s", lua_tostring(L, -1));
    lua_close(L);
}

static void nothing_leaks_when_memory_runs_out(void **state) {
    (void)state;
    check_out_of_memory("local t = {1, {a = ('x'):rep(3000)}, {b = {2, ('y'):rep(3000)}}} "
                        "local a, b = cmsgpack.unpack(cmsgpack.pack(t, t)) "
                        "assert(a[3].b[1] == 2 and #b[2].a == 3000)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_takes_its_shortest_form),
        cmocka_unit_test(a_string_has_the_head_of_its_length),
        cmocka_unit_test(what_has_no_form_is_nil),
        cmocka_unit_test(a_table_with_the_keys_1_to_n_is_an_array),
        cmocka_unit_test(a_table_has_the_head_of_its_length),
        cmocka_unit_test(what_is_deeper_than_sixteen_tables_is_nil),
        cmocka_unit_test(every_form_is_unpacked),
        cmocka_unit_test(an_unsigned_number_above_2_to_the_63_is_negative),
        cmocka_unit_test(an_offset_says_where_to_begin),
        cmocka_unit_test(a_limit_says_how_many),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(bytes_that_lie_are_refused),
        cmocka_unit_test(a_stack_that_is_full_is_an_error),
        cmocka_unit_test(the_library_says_what_it_is),
        cmocka_unit_test(what_is_packed_is_unpacked_the_same),
        cmocka_unit_test(nothing_leaks_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
