// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/overheard.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <mysql.h>

namespace hamr::mysql {
namespace {

/// What a library sees under that name: ours, which reads no file, and not OpenSSL's.
TEST(Overheard, libmariadb_does_not_read_all_authorities) {
    Overheard overheard(false);
    const Overheard::Listening listening(overheard, nullptr);
    ASSERT_NE(mysql_get_client_info(), nullptr) << "the library is here";
    void* const found = dlsym(RTLD_DEFAULT, "SSL_CTX_set_default_verify_paths");
    ASSERT_NE(found, nullptr);
    Dl_info ours{};
    Dl_info its{};
    ASSERT_NE(dladdr(found, &its), 0);
    static const int here = 0;
    ASSERT_NE(dladdr(&here, &ours), 0);
    EXPECT_EQ(its.dli_fbase, ours.dli_fbase) << its.dli_fname;
}

}  // namespace
}  // namespace hamr::mysql
