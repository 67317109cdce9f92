// Ctrl-C: the first asks the running work to stop at the next good place, the second ends at once.
#pragma once

namespace gavel {

void catch_interrupts();
bool interrupted();
// The request to stop was fulfilled: it is no reason for a special exit code.
void forget_interrupt();

}  // namespace gavel
