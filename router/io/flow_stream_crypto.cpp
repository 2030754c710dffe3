// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_stream_crypto.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

#include <sodium.h>

namespace hamr::router_io {

namespace {

static_assert(flow_header_bytes == crypto_secretstream_xchacha20poly1305_HEADERBYTES);
static_assert(flow_seal_bytes == crypto_secretstream_xchacha20poly1305_ABYTES);
static_assert(flow_proof_bytes == crypto_verify_16_BYTES);

// What a hash is for, as its first byte: nothing made for one use is valid for another.
constexpr std::uint8_t label_key = 1;
constexpr std::uint8_t label_node = 2;
constexpr std::uint8_t label_greeting = 3;
constexpr std::uint8_t label_answer = 4;
constexpr std::uint8_t label_proof = 5;
constexpr std::uint8_t label_to_acceptor = 6;
constexpr std::uint8_t label_to_connector = 7;

unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* raw(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// BLAKE2b over the label and the parts, each with its length before it.
template <std::size_t size>
std::array<std::byte, size> hash(Bytes key, std::uint8_t label,
                                 std::initializer_list<Bytes> parts) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, key.empty() ? nullptr : raw(key.data()), key.size(), size);
    crypto_generichash_update(&state, &label, 1);
    for (const Bytes part : parts) {
        ByteWriter length;
        length.write(static_cast<std::uint32_t>(part.size()));
        crypto_generichash_update(&state, raw(length.view().data()), length.size());
        crypto_generichash_update(&state, raw(part.data()), part.size());
    }
    std::array<std::byte, size> result{};
    crypto_generichash_final(&state, raw(result.data()), result.size());
    sodium_memzero(&state, sizeof state);
    return result;
}

/// No smaller hash than 16 bytes exists; the first 8 of them serve as a number.
std::uint64_t number(std::uint8_t label, std::string_view name) {
    const auto hashed = hash<16>({}, label, {bytes_of(name)});
    return ByteReader(hashed).read<std::uint64_t>();
}

Bytes signed_part(Bytes greeting) {
    return greeting.first(router::flow_greeting_signed_bytes);
}

std::vector<std::byte> sign(router::FlowGreeting greeting, Bytes key, std::uint8_t label,
                            Bytes before) {
    randombytes_buf(greeting.nonce.data(), greeting.nonce.size());
    const auto draft = router::encode_greeting(greeting);
    greeting.tag = hash<16>(key, label, {before, signed_part(draft)});
    return router::encode_greeting(greeting);
}

/// The cipher of one side. `connector` and `acceptor` are names.
FlowCipher cipher(Bytes key, std::string_view connector, std::string_view acceptor, Bytes greeting,
                  Bytes answer, bool connecting) {
    const auto secret = [&](std::uint8_t label) {
        return hash<32>(key, label, {bytes_of(connector), bytes_of(acceptor), greeting, answer});
    };
    auto forth = secret(label_to_acceptor);
    auto back = secret(label_to_connector);
    FlowCipher made(connecting ? forth : back, connecting ? back : forth);
    sodium_memzero(forth.data(), forth.size());
    sodium_memzero(back.data(), back.size());
    return made;
}

}  // namespace

std::uint64_t flow_node_hash(std::string_view name) {
    return number(label_node, name);
}

// FlowCipher --------------------------------------------------------------------------------------

struct FlowCipher::State {
    crypto_secretstream_xchacha20poly1305_state push{};
    crypto_secretstream_xchacha20poly1305_state pull{};
    Secret receiving{};
    std::array<std::byte, flow_header_bytes> header{};
    std::vector<std::byte> opened;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        sodium_memzero(&push, sizeof push);
        sodium_memzero(&pull, sizeof pull);
        sodium_memzero(receiving.data(), receiving.size());
    }
};

FlowCipher::FlowCipher(const Secret& sending, const Secret& receiving)
    : state_(std::make_unique<State>()) {
    crypto_secretstream_xchacha20poly1305_init_push(&state_->push, raw(state_->header.data()),
                                                    raw(sending.data()));
    state_->receiving = receiving;
}

FlowCipher::~FlowCipher() = default;
FlowCipher::FlowCipher(FlowCipher&&) noexcept = default;
FlowCipher& FlowCipher::operator=(FlowCipher&&) noexcept = default;

const std::array<std::byte, flow_header_bytes>& FlowCipher::header() const {
    return state_->header;
}

bool FlowCipher::begin(Bytes header) {
    if (header.size() != flow_header_bytes) return false;
    const int rc = crypto_secretstream_xchacha20poly1305_init_pull(
        &state_->pull, raw(header.data()), raw(state_->receiving.data()));
    sodium_memzero(state_->receiving.data(), state_->receiving.size());
    return rc == 0;
}

void FlowCipher::seal(Bytes message, std::vector<std::byte>& out) {
    const std::size_t before = out.size();
    out.resize(before + message.size() + flow_seal_bytes);
    crypto_secretstream_xchacha20poly1305_push(&state_->push, raw(out.data() + before), nullptr,
                                               raw(message.data()), message.size(), nullptr, 0,
                                               crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

std::optional<Bytes> FlowCipher::open(Bytes sealed) {
    if (sealed.size() < flow_seal_bytes) return {};
    state_->opened.resize(sealed.size() - flow_seal_bytes);
    unsigned char tag = 0;
    const int rc = crypto_secretstream_xchacha20poly1305_pull(
        &state_->pull, raw(state_->opened.data()), nullptr, &tag, raw(sealed.data()), sealed.size(),
        nullptr, 0);
    if (rc != 0 || tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) return {};
    return Bytes(state_->opened);
}

// FlowKeys ----------------------------------------------------------------------------------------

FlowKeys::FlowKeys(std::string self, std::vector<FlowKey> keys) : self_(std::move(self)) {
    HAMR_ASSERT(!keys.empty());
    HAMR_ASSERT(sodium_init() >= 0);
    for (FlowKey& key : keys) {
        keys_.push_back({number(label_key, key.id), key.bytes});
        sodium_memzero(key.bytes.data(), key.bytes.size());
    }
}

FlowKeys::~FlowKeys() {
    for (Key& key : keys_) sodium_memzero(key.bytes.data(), key.bytes.size());
}

std::vector<std::byte> FlowKeys::greet(const std::string& peer) const {
    router::FlowGreeting greeting;
    greeting.key = keys_.front().id;
    greeting.from = flow_node_hash(self_);
    greeting.to = flow_node_hash(peer);
    return sign(greeting, keys_.front().bytes, label_greeting, {});
}

/// The key with which the tag was made over the parts; names of keys may collide.
const FlowKeys::Key* FlowKeys::find(const router::FlowGreeting& greeting, std::uint8_t label,
                                    std::initializer_list<Bytes> parts) const {
    const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) {
        return key.id == greeting.key &&
               crypto_verify_16(raw(hash<16>(key.bytes, label, parts).data()),
                                raw(greeting.tag.data())) == 0;
    });
    return found == keys_.end() ? nullptr : &*found;
}

bool FlowKeys::knows(const router::FlowGreeting& greeting) const {
    const auto bytes = router::encode_greeting(greeting);
    return greeting.to == flow_node_hash(self_) &&
           find(greeting, label_greeting, {Bytes(), signed_part(bytes)}) != nullptr;
}

std::vector<std::byte> FlowKeys::answer(Bytes greeting) const {
    const auto heard = router::decode_greeting(greeting);
    HAMR_ASSERT(heard.has_value());
    const Key* key = find(*heard, label_greeting, {Bytes(), signed_part(greeting)});
    HAMR_ASSERT(key != nullptr);
    router::FlowGreeting answer;
    answer.key = key->id;
    answer.from = heard->to;
    answer.to = heard->from;
    return sign(answer, key->bytes, label_answer, greeting);
}

std::optional<FlowKeys::Agreed> FlowKeys::agree(const std::string& peer, Bytes greeting,
                                                Bytes answer) const {
    const auto said = router::decode_greeting(greeting);
    const auto heard = router::decode_greeting(answer);
    if (!said || !heard || heard->key != said->key || heard->from != said->to ||
        heard->to != said->from) {
        return {};
    }
    const Key* key = find(*heard, label_answer, {greeting, signed_part(answer)});
    if (key == nullptr) return {};
    return Agreed{hash<16>(key->bytes, label_proof, {greeting, answer}),
                  cipher(key->bytes, self_, peer, greeting, answer, true)};
}

std::optional<FlowCipher> FlowKeys::accept(const std::string& peer, Bytes greeting, Bytes answer,
                                           Bytes proof) const {
    const auto said = router::decode_greeting(greeting);
    if (!said || proof.size() != flow_proof_bytes) return {};
    const Key* key = find(*said, label_greeting, {Bytes(), signed_part(greeting)});
    if (key == nullptr) return {};
    const auto wanted = hash<16>(key->bytes, label_proof, {greeting, answer});
    if (crypto_verify_16(raw(wanted.data()), raw(proof.data())) != 0) return {};
    return cipher(key->bytes, peer, self_, greeting, answer, false);
}

}  // namespace hamr::router_io
