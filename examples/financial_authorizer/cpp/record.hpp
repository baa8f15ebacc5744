// Audit lines and security events, a JSON object a line.
//
// Writing them may fail, and then the decision fails: what is not on record is not granted.
#pragma once

#include <string>
#include <string_view>

#include "event.hpp"

namespace authorizer {

// What is on record of one event. `event` may be null: it could not be read.
class Recorder {
 public:
  Recorder(const AuthEvent* event, std::string invocation_id)
      : event_(event), invocation_id_(std::move(invocation_id)) {}

  // A decision: ALLOW, DENY, UNAUTHORIZED or FAILURE.
  void audit(std::string_view outcome, const lambda_host::Line& facts) const;

  // A refusal, by the word that alarms count.
  void security(std::string_view word,
                const lambda_host::Line& facts = lambda_host::Line::object()) const;

 private:
  void write(lambda_host::Line line, const lambda_host::Line& facts) const;

  const AuthEvent* event_;
  std::string invocation_id_;
};

}  // namespace authorizer
