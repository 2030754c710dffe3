// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/auth.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

#include <sodium.h>

namespace hamr::election {

namespace {

static_assert(tag_bytes >= crypto_generichash_BYTES_MIN && tag_bytes == crypto_verify_16_BYTES);
static_assert(key_bytes == crypto_kdf_KEYBYTES && key_bytes >= crypto_kdf_BYTES_MIN);

constexpr std::array<char, crypto_kdf_CONTEXTBYTES> kdf_context = {'H', 'A', 'M', 'R',
                                                                   'k', 'e', 'y', 's'};

using Tag = std::array<unsigned char, tag_bytes>;

unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* raw(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}

}  // namespace

// A BLAKE2b state that has taken in its key already: a copy of it starts each tag.
struct Keyring::Entry {
    KeyId id;
    crypto_generichash_state keyed{};

    explicit Entry(const Key& key) : id(key_id(key.id)) {
        auto derived = derive_key(key, KeyUse::frames);
        crypto_generichash_init(&keyed, raw(derived.data()), derived.size(), tag_bytes);
        sodium_memzero(derived.data(), derived.size());
    }
    Entry(const Entry&) = default;
    Entry& operator=(const Entry&) = default;
    ~Entry() { sodium_memzero(&keyed, sizeof(keyed)); }

    [[nodiscard]] Tag tag(Bytes bytes) const {
        crypto_generichash_state state = keyed;
        crypto_generichash_update(&state, raw(bytes.data()), bytes.size());
        Tag result{};
        crypto_generichash_final(&state, result.data(), result.size());
        return result;
    }
};

KeyId key_id(std::string_view name) {
    return KeyId{node_id(name).value};
}

std::array<std::byte, key_bytes> derive_key(const Key& key, KeyUse use) {
    std::array<std::byte, key_bytes> derived{};
    const int rc = crypto_kdf_derive_from_key(raw(derived.data()), derived.size(),
                                              static_cast<std::uint64_t>(use), kdf_context.data(),
                                              raw(key.bytes.data()));
    HAMR_ASSERT(rc == 0);
    return derived;
}

Keyring::Keyring(std::vector<Key> keys) {
    HAMR_ASSERT(!keys.empty());
    HAMR_ASSERT(sodium_init() >= 0);
    entries_.reserve(keys.size());
    for (Key& key : keys) {
        entries_.emplace_back(key);
        sodium_memzero(key.bytes.data(), key.bytes.size());
    }
}

Keyring::~Keyring() = default;
Keyring::Keyring(Keyring&&) noexcept = default;
Keyring& Keyring::operator=(Keyring&&) noexcept = default;

void Keyring::seal_into(const Frame& frame, std::vector<std::byte>& out) const {
    const Entry& signer = entries_.front();
    encode_into(frame, signer.id, out);
    const Tag tag = signer.tag(out);
    const Bytes bytes = std::as_bytes(std::span(tag));
    out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> Keyring::seal(const Frame& frame) const {
    std::vector<std::byte> out;
    seal_into(frame, out);
    return out;
}

tl::expected<Frame, DropReason> Keyring::open(Bytes datagram, ClusterId cluster) const {
    if (datagram.size() < min_frame_bytes + tag_bytes) return tl::unexpected(DropReason::malformed);
    const Bytes signed_part = datagram.first(datagram.size() - tag_bytes);
    const Bytes tag = datagram.last(tag_bytes);
    const auto header = read_header(signed_part);
    if (!header) return tl::unexpected(header.error());
    if (header->cluster != cluster) return tl::unexpected(DropReason::wrong_cluster);
    // Names may collide in 32 bits, or be given twice in a key file: every key of that name is
    // tried.
    const bool genuine = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.id == header->key &&
               crypto_verify_16(raw(tag.data()), entry.tag(signed_part).data()) == 0;
    });
    if (!genuine) return tl::unexpected(DropReason::bad_signature);
    return decode(signed_part);
}

}  // namespace hamr::election
