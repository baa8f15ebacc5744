// YAML by yaml-cpp's events rather than its own tree, because events tell plain from quoted
// scalars and show anchors, aliases and tags, which a topology must not have: they hide what is
// written, and a few lines of aliases can stand for gigabytes.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <new>
#include <streambuf>
#include <utility>

#include "topology/document.hpp"

namespace cellroute::loading {
namespace {

// Unwinds yaml-cpp's parser once there is a finding; never leaves this file.
class Stop : public std::exception {};

// Reads from memory that it does not own.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view bytes) {
    char* begin = const_cast<char*>(bytes.data());  // streambuf's interface; it is never written to
    setg(begin, begin, begin + bytes.size());
  }
};

Position position(const YAML::Mark& mark) {
  return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

class Handler : public YAML::EventHandler {
 public:
  explicit Handler(Findings& findings) : findings_(findings), builder_(findings) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (builder_.expects_key()) stop(mark, "a key without a name");
    require(builder_.scalar(Node::Kind::kNull, position(mark), ""));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    stop(mark, "aliases (*name) are refused: write the value out");
  }

  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    stop(mark, "anchors (&name) are refused: write values out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    const bool plain = tag == "?";
    if (!plain && tag != "!") refuse_tag(mark);
    if (builder_.expects_key()) {
      if (plain && value == "<<") stop(mark, "merge keys (<<) are refused: write the values out");
      require(builder_.key(position(mark), value));
    } else {
      require(
          builder_.scalar(plain ? Node::Kind::kPlain : Node::Kind::kString, position(mark), value));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    begin(Node::Kind::kList, mark, tag);
  }
  void OnSequenceEnd() override { require(builder_.end()); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    begin(Node::Kind::kMap, mark, tag);
  }
  void OnMapEnd() override { require(builder_.end()); }

  Node take() { return builder_.take(); }

 private:
  void begin(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
    if (tag != "?" && !tag.empty()) refuse_tag(mark);
    if (builder_.expects_key()) stop(mark, "a list or map as a key");
    require(builder_.begin(kind, position(mark)));
  }

  static void require(bool ok) {
    if (!ok) throw Stop();
  }

  [[noreturn]] void stop(const YAML::Mark& mark, const char* text) {
    findings_.add(position(mark), check::Path(), text);
    throw Stop();
  }

  [[noreturn]] void refuse_tag(const YAML::Mark& mark) {
    stop(mark, "tags (!name) are refused: the field says what the value is");
  }

  Findings& findings_;
  TreeBuilder builder_;
};

// For the rest of a stream: nothing but comments may follow the first document.
class NothingMore : public YAML::EventHandler {
 public:
  explicit NothingMore(Findings& findings) : findings_(findings) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    findings_.add(position(mark), check::Path(), "a second document: a file holds one topology");
    throw Stop();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  Findings& findings_;
};

// The scanner holds all tokens of a flow collection ({…}, […]) before it hands out the first, so
// their number is bounded before it begins.
bool check_flow_tokens(std::string_view bytes, Findings& findings) {
  const auto tokens = std::count_if(bytes.begin(), bytes.end(), [](char c) {
    return c == '[' || c == '{' || c == ',' || c == ':';
  });
  if (static_cast<std::size_t>(tokens) <= kMaxValues) return true;
  findings.add({}, check::Path(), "more than " + check::counted(kMaxValues) + " values");
  return false;
}

std::optional<Node> parse(std::string_view bytes, Findings& findings) {
  ViewBuffer buffer(bytes);
  std::istream stream(&buffer);
  YAML::Parser parser(stream);
  Handler handler(findings);
  if (!parser.HandleNextDocument(handler)) {
    findings.add({}, check::Path(), "empty: there is no topology in it");
    return std::nullopt;
  }
  NothingMore rest(findings);
  parser.HandleNextDocument(rest);
  return handler.take();
}

}  // namespace

std::optional<Node> read_yaml(std::string_view bytes, Findings& findings) {
  if (!check_flow_tokens(bytes, findings)) return std::nullopt;
  try {
    return parse(bytes, findings);
  } catch (const Stop&) {
    return std::nullopt;
  } catch (const YAML::Exception& e) {
    findings.add(e.mark.is_null() ? Position() : position(e.mark), check::Path(),
                 "not YAML: " + check::escaped(e.msg, 200));
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    findings.add({}, check::Path(), "not YAML: " + check::escaped(e.what(), 200));
    return std::nullopt;
  }
}

}  // namespace cellroute::loading
