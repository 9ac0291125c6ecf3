/* Runs one evaluation many times, for callgrind to count. bench/instructions takes the difference of two runs.

       instructions DIRECTORY CASE TIMES */

#include "cases.h"

int main(int argc, char **argv) {
    case_fn counted = argc == 4 ? find_case(argv[2]) : NULL;
    if (counted == NULL) {
        fail("usage: instructions DIRECTORY CASE TIMES");
    }
    workload w = load_workload(argv[1]);
    return counted(&w, strtoull(argv[3], NULL, 10)) == 0;
}
