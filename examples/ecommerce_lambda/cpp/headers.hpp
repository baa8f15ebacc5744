// Which headers go on to the cell, and which come back.
#pragma once

#include "event.hpp"

namespace shop_front {

// A client's headers for the cell, without those of a connection (RFC 9110, section 7.6.1) and
// those that cells believe, which are `ours`. BadEvent: one cannot be sent on.
Headers onward(const Headers& headers, const Headers& ours);

// A cell's headers for the client; what cells tell the router alone stays here.
Headers back(const Headers& headers);

}  // namespace shop_front
