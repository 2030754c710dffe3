# SPDX-License-Identifier: GPL-2.0-or-later
# What `cmake --install` puts where, and the Debian package that CPack makes of it. The agent's
# places (/etc/hamr, /run/hamr, the unit) are fixed, so the prefix is /usr unless somebody insists.

if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "where the programs go" FORCE)
endif()
include(GNUInstallDirs)

install(TARGETS hamr RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT hamr)
install(TARGETS hamrd RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT hamr)
install(FILES deploy/systemd/hamrd.service DESTINATION /usr/lib/systemd/system COMPONENT hamr)
install(PROGRAMS deploy/systemd/hamrd-ended DESTINATION /usr/lib/hamr COMPONENT hamr)
install(FILES deploy/systemd/hamr.default DESTINATION /etc/default RENAME hamr COMPONENT hamr)
install(DIRECTORY DESTINATION /etc/hamr COMPONENT hamr
  DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE)
install(FILES deploy/completion/hamr COMPONENT hamr
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/hamr)
install(FILES deploy/debian/copyright DESTINATION ${doc_dir} COMPONENT hamr)
install(FILES deploy/debian/lintian-overrides RENAME hamr COMPONENT hamr
  DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides)
install(FILES deploy/hamr.yaml.example DESTINATION ${doc_dir}/examples COMPONENT hamr)
if(EXISTS ${PROJECT_SOURCE_DIR}/deploy/examples)
  install(DIRECTORY deploy/examples/ DESTINATION ${doc_dir}/examples COMPONENT hamr)
endif()

# hamr_install_gz(SOURCE NAME DIRECTORY): compressed, without a time stamp, as Debian wants it.
set(compressed_files)
function(hamr_install_gz source name directory)
  set(result ${PROJECT_BINARY_DIR}/package/${name}.gz)
  add_custom_command(OUTPUT ${result} DEPENDS ${PROJECT_SOURCE_DIR}/${source} VERBATIM
    COMMAND sh -c "mkdir -p \"$(dirname \"$2\")\" && gzip -9nc \"$1\" >\"$2\"" sh
      ${PROJECT_SOURCE_DIR}/${source} ${result})
  install(FILES ${result} DESTINATION ${directory} COMPONENT hamr)
  set(compressed_files ${compressed_files} ${result} PARENT_SCOPE)
endfunction()
hamr_install_gz(docs/man/hamr.1 hamr.1 ${CMAKE_INSTALL_MANDIR}/man1)
hamr_install_gz(docs/man/hamr.yaml.5 hamr.yaml.5 ${CMAKE_INSTALL_MANDIR}/man5)
hamr_install_gz(docs/man/hamrd.8 hamrd.8 ${CMAKE_INSTALL_MANDIR}/man8)
hamr_install_gz(CHANGELOG.md changelog ${doc_dir})
hamr_install_gz(deploy/debian/changelog changelog.Debian ${doc_dir})
add_custom_target(package_files ALL DEPENDS ${compressed_files})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hamr)
set(CPACK_PACKAGE_VENDOR "The HAMR authors")
set(CPACK_PACKAGE_CONTACT "The HAMR authors <maintainers@hamr.example>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "highly available address in front of MySQL routers")
set(CPACK_PACKAGE_DESCRIPTION
"Gives the hosts that run MySQL Router, HAProxy or ProxySQL one address that
is always on exactly one of them. An agent on each host takes part in an
election; the leader holds the address and routes the connections that arrive
there, by itself or through a router that it starts and watches. The kernel
ends the leader's right to the address with its lease, also when the agent
hangs.")
set(CPACK_COMPONENTS_ALL hamr)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
# Without it absolute destinations would be written to the machine that builds.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_HAMR_PACKAGE_NAME hamr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# shlibdeps finds the libraries; these are run (nft) or loaded by name (libmariadb3 ships the
# caching_sha2_password plugin that MySQL 8 and later ask for).
set(CPACK_DEBIAN_PACKAGE_DEPENDS "nftables, libmariadb3")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "systemd")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "haproxy, mysql-router, bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/debian/postinst ${PROJECT_SOURCE_DIR}/deploy/debian/prerm
  ${PROJECT_SOURCE_DIR}/deploy/debian/postrm ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles)
include(CPack)
