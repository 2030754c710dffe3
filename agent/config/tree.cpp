// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/tree.hpp"

#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace hamr::config {

namespace {

struct Refused {
    Place place;
    std::string message;
};

Place to_place(const YAML::Mark& mark) {
    if (mark.is_null()) return {1, 1};
    return {mark.line + 1, mark.column + 1};
}

class TreeBuilder final : public YAML::EventHandler {
  public:
    Value take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        refuse_anchor(mark, anchor);
        if (expects_key()) {
            set_key(mark, "~");
        } else {
            attach({Value::Kind::null, to_place(mark), {}, {}, {}});
        }
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark, 1); }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& text) override {
        refuse_anchor(mark, anchor);
        refuse_tag(mark, tag);
        if (expects_key()) {
            set_key(mark, text);
        } else {
            attach({Value::Kind::scalar, to_place(mark), text, {}, {}});
        }
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Value::Kind::list);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Value::Kind::map);
    }
    void OnMapEnd() override { close(); }

  private:
    struct Open {
        Value value;
        std::string key;
        Place key_place;
        bool has_key = false;
    };

    static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
        if (anchor != 0) {
            throw Refused{to_place(mark),
                          "anchors and aliases (& and *) are not supported; "
                          "write the value out"};
        }
    }

    static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (!tag.empty() && tag != "?" && tag != "!") {
            throw Refused{to_place(mark), "tags (!) are not supported; write the value alone"};
        }
    }

    [[nodiscard]] bool expects_key() const {
        return !stack_.empty() && stack_.back().value.kind == Value::Kind::map &&
               !stack_.back().has_key;
    }

    void set_key(const YAML::Mark& mark, const std::string& key) {
        stack_.back().key = key;
        stack_.back().key_place = to_place(mark);
        stack_.back().has_key = true;
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              Value::Kind kind) {
        refuse_anchor(mark, anchor);
        refuse_tag(mark, tag);
        if (expects_key()) {
            throw Refused{to_place(mark),
                          "a key must be a single word, not a list or a map; "
                          "quote it if it contains brackets"};
        }
        if (stack_.size() >= max_depth) {
            throw Refused{to_place(mark), "nested too deeply; no setting needs this"};
        }
        stack_.push_back({{kind, to_place(mark), {}, {}, {}}, {}, {}, false});
    }

    void close() {
        Value done = std::move(stack_.back().value);
        stack_.pop_back();
        attach(std::move(done));
    }

    void attach(Value value) {
        if (stack_.empty()) {
            root_ = std::move(value);
            return;
        }
        Open& parent = stack_.back();
        if (parent.value.kind == Value::Kind::list) {
            parent.value.items.push_back(std::move(value));
            return;
        }
        // An empty value has no place of its own in the events: its key's is what a reader needs.
        if (value.kind == Value::Kind::null) value.place = parent.key_place;
        parent.value.entries.push_back({std::move(parent.key), parent.key_place, std::move(value)});
        parent.has_key = false;
    }

    Value root_;
    std::vector<Open> stack_;
};

}  // namespace

std::string_view Value::kind_name() const {
    switch (kind) {
        case Kind::null:
            return "nothing";
        case Kind::scalar:
            return "a single value";
        case Kind::list:
            return "a list";
        case Kind::map:
            return "a map";
    }
    return "nothing";
}

Value parse_tree(const std::string& text, Report& report) {
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        TreeBuilder builder;
        if (!parser.HandleNextDocument(builder)) return {};
        TreeBuilder second;
        if (parser.HandleNextDocument(second)) {
            const Place place = second.take().place;
            report.problem(place.line == 0 ? Place{1, 1} : place,
                           "a second document (---) in the file; keep one");
            return {};
        }
        return builder.take();
    } catch (const Refused& refused) {
        report.problem(refused.place, refused.message);
    } catch (const YAML::Exception& error) {
        report.problem(to_place(error.mark), "not valid YAML: " + error.msg);
    }
    return {};
}

}  // namespace hamr::config
