#include "base/assert.h"
#include "participant/branches.h"

namespace hf::participant {

/// Until participant has XA branches: no database of this build has xa(), so nobody comes here.
__attribute__((weak)) std::unique_ptr<Branches> make_xa_branches(sys::World, sql::Database&, BranchConfig) {
  HF_ASSERT(false);
  return nullptr;
}

}  // namespace hf::participant
