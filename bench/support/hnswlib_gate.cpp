// SPDX-License-Identifier: Apache-2.0
// hnswlib_gate.cpp — hnswlib's own filter, a functor in C++: in Python it would be called for each
// candidate, which is no way to measure it.  Built by peers.py against the headers of its package.
#include <cstdint>
#include <memory>

#include "hnswlib/hnswlib.h"

namespace {

struct Gate : hnswlib::BaseFilterFunctor {
    const uint64_t *open;
    explicit Gate(const uint64_t *bits) : open(bits) {}
    bool operator()(hnswlib::labeltype row) override { return open[row / 64] >> (row % 64) & 1; }
};

struct Index {
    std::unique_ptr<hnswlib::SpaceInterface<float>> space;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
};

} // namespace

extern "C" void *gated_open(const char *path, size_t dim, int is_l2)
{
    auto *index = new Index;
    if (is_l2) index->space.reset(new hnswlib::L2Space(dim));
    else index->space.reset(new hnswlib::InnerProductSpace(dim));
    index->graph.reset(new hnswlib::HierarchicalNSW<float>(index->space.get(), path));
    return index;
}

// Rows of each query, nearest first; -1 where there are no more.
extern "C" void gated_search(void *opened, const float *queries, size_t count, size_t dim,
                             size_t k, size_t ef, const uint64_t *open, int32_t *out)
{
    auto *index = static_cast<Index *>(opened);
    Gate gate(open);
    index->graph->setEf(ef);
    for (size_t i = 0; i < count; i++, out += k) {
        auto found = index->graph->searchKnn(queries + i * dim, k, &gate);
        for (size_t place = k; place > found.size(); place--) out[place - 1] = -1;
        for (size_t place = found.size(); place > 0; place--, found.pop())
            out[place - 1] = static_cast<int32_t>(found.top().second);
    }
}
